use super::settings::{ClearPasswords, Expire, Tls};
use super::{Certificate, Session, Transport};

impl Session {
    /// CAPA (RFC 2449 §5).
    pub(super) fn capabilities(&mut self) {
        self.ok("Here's what I can do:");
        let offered = self.offered_mechanisms();
        if !offered.is_empty() {
            self.out.line(format_args!("SASL {}", offered.join(" ")));
        }
        if self.offers_tls() {
            self.capability("STLS");
        }
        self.capability("TOP");
        if self.takes_passwords() {
            self.capability("USER");
        }
        if let Some(seconds) = self.settings.login_delay {
            self.out.line(format_args!("LOGIN-DELAY {seconds}"));
        }
        match self.settings.expire {
            None => {}
            Some(Expire::Never) => self.capability("EXPIRE NEVER"),
            Some(Expire::Days(days)) => self.out.line(format_args!("EXPIRE {days}")),
        }
        for name in [
            "PIPELINING",
            "UIDL",
            "RESP-CODES",
            "AUTH-RESP-CODE",
            "UTF8 USER",
            "LANG",
        ] {
            self.capability(name);
        }
        if let Some(name) = &self.settings.implementation {
            self.out.line(format_args!("IMPLEMENTATION {name}"));
        }
        self.capability(".");
    }

    fn capability(&mut self, line: &str) {
        self.out.line(format_args!("{line}"));
    }

    /// Whether STLS is there now (RFC 2595 §4: before the login).
    pub(super) fn offers_tls(&self) -> bool {
        self.settings.tls != Tls::Unavailable
            && self.transport == Transport::Plain
            && !self.is_open()
    }

    /// Whether a login must wait for STLS.
    pub(super) fn needs_tls(&self) -> bool {
        self.settings.tls == Tls::Required && self.transport == Transport::Plain
    }

    /// Whether USER and PASS are there now.
    pub(super) fn takes_passwords(&self) -> bool {
        let clear = self.settings.clear_passwords == ClearPasswords::Allowed;
        !self.needs_tls() && (clear || self.transport == Transport::Tls)
    }

    /// The mechanisms that the client may use now.
    pub(super) fn offered_mechanisms(&self) -> Vec<String> {
        let mechanisms = &self.settings.mechanisms;
        let mut offered = match self.transport {
            Transport::Plain if self.needs_tls() => Vec::new(),
            Transport::Plain => mechanisms.plain.clone(),
            Transport::Tls => mechanisms.tls.clone(),
        };
        if !self.takes_passwords() {
            offered.retain(|name| name != "PLAIN" && name != "LOGIN");
        }
        let external = "EXTERNAL";
        offered.retain(|name| name != external);
        if self.certificate == Certificate::Usable && self.transport == Transport::Tls {
            offered.push(external.to_owned());
        }
        offered
    }

    /// LANG (RFC 6856 §3). All replies are in English.
    pub(super) fn language(&mut self, tag: Option<&str>) {
        match tag {
            None => {
                self.ok("Languages:");
                self.capability("en English");
                self.capability("i-default Default language");
                self.capability(".");
            }
            Some("*" | "i-default") => self.ok("i-default Default language"),
            Some("en") => self.ok("en English"),
            Some(_) => self.err("Language not available."),
        }
    }
}
