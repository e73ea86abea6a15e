//! What the configuration means for the IMAP machine.

use courier_core::account::sasl::Mechanism;
use courier_core::config::ServiceSettings;
use courier_core::config::value::Switch;
use courier_imap::session::settings::{Expunged, LoginCommand, Logins, Settings, StartTls};

/// The machine's settings for one of its services; `clear` says whether passwords may
/// pass in clear.
#[must_use]
pub fn settings(service: &ServiceSettings, clear: LoginCommand) -> Settings {
    let mechanisms = |protected: LoginCommand| {
        let usable = Mechanism::ALL
            .into_iter()
            .filter(|mechanism| protected == LoginCommand::Allowed || !mechanism.sends_password());
        usable
            .map(|mechanism| mechanism.name().to_owned())
            .collect()
    };
    Settings {
        clear: Logins {
            command: clear,
            mechanisms: mechanisms(clear),
        },
        tls: Logins {
            command: LoginCommand::Allowed,
            mechanisms: mechanisms(LoginCommand::Allowed),
        },
        starttls: match service.tls.certificate {
            Some(_) => StartTls::Offered,
            None => StartTls::Unavailable,
        },
        expunged: match service.trash.keeps_expunged.value {
            Switch::On => Expunged::ToTrash,
            Switch::Off => Expunged::Removed,
        },
        ..Settings::default()
    }
}
