//! What the configuration means for the POP3 machine.

use courier_core::account::sasl::Mechanism;
use courier_core::config::ServiceSettings;
use courier_pop3::session::{ClearPasswords, Mechanisms, Settings, Tls};

/// The machine's settings for one of its services, for clients on this host or on
/// others.
#[must_use]
pub fn settings(service: &ServiceSettings, passwords: ClearPasswords) -> Settings {
    let names = || {
        Mechanism::ALL
            .map(|mechanism| mechanism.name().to_owned())
            .into()
    };
    Settings {
        tls: match service.tls.certificate {
            Some(_) => Tls::Offered,
            None => Tls::Unavailable,
        },
        clear_passwords: passwords,
        mechanisms: Mechanisms {
            plain: names(),
            tls: names(),
        },
        ..Settings::default()
    }
}
