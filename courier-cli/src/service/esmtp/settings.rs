//! What the configuration means for the ESMTP machine.

use courier_core::account::sasl::Mechanism;
use courier_core::config::value::Switch;
use courier_core::config::{Service, ServiceSettings, Settings, SizeLimit};
use courier_smtp::server;

/// The machine's settings for one of its services.
#[must_use]
pub fn settings(settings: &Settings, service: &ServiceSettings) -> server::Settings {
    let names = |mechanisms: &[Mechanism]| {
        mechanisms
            .iter()
            .map(|mechanism| mechanism.name().to_owned())
            .collect()
    };
    let protected: Vec<_> = Mechanism::ALL
        .into_iter()
        .filter(|m| !m.sends_password())
        .collect();
    let mut machine = server::Settings::new(settings.me.value.to_ascii());
    machine.tls = match service.tls.certificate {
        Some(_) => server::Tls::Offered,
        None => server::Tls::Unavailable,
    };
    machine.mechanisms = server::Mechanisms {
        plain: names(&protected),
        tls: names(&Mechanism::ALL),
    };
    machine.login = match service.service {
        Service::Esmtp => server::Login::Optional,
        _ => server::Login::Required,
    };
    machine.vrfy = server::Lookup::On;
    machine.tarpit = match service.tarpit.value {
        Switch::On => server::Tarpit::On,
        Switch::Off => server::Tarpit::Off,
    };
    machine.limits.message = match settings.size_limit.value {
        SizeLimit::Unlimited => None,
        SizeLimit::Octets(octets) => Some(octets),
    };
    machine
}
