//! SCRAM-SHA-256 (RFC 5802, RFC 7677), the server's side.
//!
//! Without channel binding: `SCRAM-SHA-256-PLUS` is not offered, so the flag `y`
//! ("I could, you cannot") is as good as `n`, and `p=` is refused.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::Verdict;
use super::plain::parse_login;
use crate::account::login::Login;
use crate::account::password::ScramKeys;

/// The longest message of a client, in octets.
const MAX_MESSAGE: usize = 2048;
/// The longest nonce of a client, in octets.
const MAX_NONCE: usize = 256;

/// `client-first-message`, taken apart.
#[derive(Debug)]
pub(super) struct First {
    pub(super) login: Login,
    /// `n,,` or `n,a=…,`, as the client will repeat it.
    gs2_header: String,
    bare: String,
    /// The client's nonce and ours, as both will repeat it.
    nonce: String,
}

/// The exchange after `server-first-message` was sent.
#[derive(Debug)]
pub(super) struct Challenged {
    first: First,
    server_first: String,
    keys: ScramKeys,
    standing: Standing,
}

/// Whether the keys of an exchange are somebody's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    /// Those of the account.
    Known,
    /// Made up: no proof fits.
    Decoy,
}

impl First {
    /// Parses `client-first-message`; `server_nonce` is ours, printable, without comma.
    pub(super) fn parse(message: &[u8], server_nonce: &str) -> Result<Self, Verdict> {
        let text = text(message)?;
        let (flag, rest) = text.split_once(',').ok_or(Verdict::Malformed)?;
        match flag {
            "n" | "y" => {}
            // The channel binding that this asks for was not offered.
            _ if flag.starts_with("p=") => return Err(Verdict::Refused),
            _ => return Err(Verdict::Malformed),
        }
        let (acting_for, bare) = rest.split_once(',').ok_or(Verdict::Malformed)?;
        let mut fields = bare.split(',');
        // An extension that must be understood (`m=`) stands here and is none of ours.
        let name = field(fields.next(), "n=")?;
        let client_nonce = field(fields.next(), "r=")?;
        let printable = client_nonce.bytes().all(|octet| octet.is_ascii_graphic());
        if client_nonce.is_empty() || client_nonce.len() > MAX_NONCE || !printable {
            return Err(Verdict::Malformed);
        }
        let login = parse_login(unescaped(name)?.as_bytes())?;
        if !acting_for.is_empty() {
            let acting_for = unescaped(field(Some(acting_for), "a=")?)?;
            if parse_login(acting_for.as_bytes())? != login {
                return Err(Verdict::Refused);
            }
        }
        Ok(Self {
            login,
            gs2_header: text[..text.len() - bare.len()].to_owned(),
            bare: bare.to_owned(),
            nonce: format!("{client_nonce}{server_nonce}"),
        })
    }

    /// `server-first-message`, once keys are there.
    pub(super) fn challenge(self, keys: ScramKeys, standing: Standing) -> (Challenged, Vec<u8>) {
        let server_first = format!(
            "r={},s={},i={}",
            self.nonce,
            STANDARD.encode(keys.salt()),
            keys.iterations()
        );
        let message = server_first.clone().into_bytes();
        let challenged = Challenged {
            first: self,
            server_first,
            keys,
            standing,
        };
        (challenged, message)
    }
}

impl Challenged {
    /// Checks `client-final-message`; gives the login and `server-final-message`.
    pub(super) fn check(self, message: &[u8]) -> Result<(Login, Vec<u8>), Verdict> {
        let text = text(message)?;
        let (without_proof, proof) = text.rsplit_once(",p=").ok_or(Verdict::Malformed)?;
        let mut fields = without_proof.split(',');
        let binding = decoded(field(fields.next(), "c=")?)?;
        let nonce = field(fields.next(), "r=")?;
        let proof: [u8; 32] = decoded(proof)?.try_into().map_err(|_| Verdict::Malformed)?;
        let auth_message = format!("{},{},{without_proof}", self.first.bare, self.server_first);
        // A decoy goes through the same computation as keys that are somebody's.
        let proved = self.keys.proves(&proof, auth_message.as_bytes());
        let same_exchange =
            binding == self.first.gs2_header.as_bytes() && nonce == self.first.nonce;
        if !(proved && same_exchange && self.standing == Standing::Known) {
            return Err(Verdict::Refused);
        }
        let signature = self.keys.server_signature(auth_message.as_bytes());
        let server_final = format!("v={}", STANDARD.encode(signature));
        Ok((self.first.login, server_final.into_bytes()))
    }
}

fn text(message: &[u8]) -> Result<&str, Verdict> {
    if message.len() > MAX_MESSAGE {
        return Err(Verdict::Malformed);
    }
    std::str::from_utf8(message).map_err(|_| Verdict::Malformed)
}

fn field<'a>(field: Option<&'a str>, name: &str) -> Result<&'a str, Verdict> {
    field
        .and_then(|field| field.strip_prefix(name))
        .ok_or(Verdict::Malformed)
}

fn decoded(text: &str) -> Result<Vec<u8>, Verdict> {
    STANDARD.decode(text).map_err(|_| Verdict::Malformed)
}

/// `saslname`: `=2C` is a comma, `=3D` an equals sign, and `=` stands nowhere else.
fn unescaped(name: &str) -> Result<String, Verdict> {
    let mut parts = name.split('=');
    let mut plain = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (sign, rest) = match (part.strip_prefix("2C"), part.strip_prefix("3D")) {
            (Some(rest), _) => (',', rest),
            (_, Some(rest)) => ('=', rest),
            _ => return Err(Verdict::Malformed),
        };
        plain.push(sign);
        plain.push_str(rest);
    }
    Ok(plain)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::account::secret::Secret;
    use proptest::prelude::*;

    const SALT: &str = "W22ZaJ0SNY7soEsUEjb6gQ==";
    const SERVER_NONCE: &str = "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0";
    const FINAL: &str = "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,\
        p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=";

    fn keys() -> ScramKeys {
        let salt = STANDARD.decode(SALT).expect("a salt");
        ScramKeys::derive(&Secret::new("pencil"), &salt, 4096)
    }

    fn challenged(standing: Standing) -> Challenged {
        let first = First::parse(b"n,,n=user,r=rOprNGfwEbeRWgbNEkqO", SERVER_NONCE);
        let (challenged, message) = first.expect("parsed").challenge(keys(), standing);
        assert_eq!(
            String::from_utf8_lossy(&message),
            format!("r=rOprNGfwEbeRWgbNEkqO{SERVER_NONCE},s={SALT},i=4096")
        );
        challenged
    }

    #[test]
    fn the_exchange_of_rfc_7677_section_3_is_accepted() {
        let (login, last) = challenged(Standing::Known)
            .check(FINAL.as_bytes())
            .expect("accepted");
        assert_eq!(login.as_str(), "user");
        assert_eq!(last, b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=");
    }

    #[test]
    fn the_right_proof_for_a_decoy_is_refused() {
        let answer = challenged(Standing::Decoy).check(FINAL.as_bytes());
        assert_eq!(answer.err(), Some(Verdict::Refused));
    }

    #[test]
    fn a_final_message_that_differs_is_refused_or_malformed() {
        let refused = Some(Verdict::Refused);
        let malformed = Some(Verdict::Malformed);
        for (from, to, verdict) in [
            ("p=dH", "p=dI", &refused),
            ("c=biws", "c=eSws", &refused),
            ("r=rO", "r=rP", &refused),
            ("hNlF$k0", "hNlF$k1", &refused),
            ("k0,p", "k0,x=y,p", &refused),
            (",p=", ",q=", &malformed),
            ("VQ=", "VQ", &malformed),
            ("VQ=", "VQ=,x=y", &malformed),
            ("c=biws,", "", &malformed),
            ("c=biws,r=", "r=", &malformed),
        ] {
            let message = FINAL.replacen(from, to, 1);
            let answer = challenged(Standing::Known).check(message.as_bytes());
            assert_eq!(&answer.err(), verdict, "{message}");
        }
    }

    #[test]
    fn first_messages_are_told_apart() {
        let parse =
            |text: &str| First::parse(text.as_bytes(), "s").map(|first| first.login.to_string());
        assert_eq!(parse("n,,n=user,r=abc").as_deref(), Ok("user"));
        assert_eq!(parse("y,,n=user,r=abc,x=extension").as_deref(), Ok("user"));
        assert_eq!(parse("n,a=user,n=user,r=abc").as_deref(), Ok("user"));
        assert_eq!(parse("n,,n=a=2Cb=3Dc,r=abc").as_deref(), Ok("a,b=c"));
        for text in [
            "p=tls-unique,,n=user,r=abc",
            "n,a=other,n=user,r=abc",
            "n,,n=,r=abc",
            "n,,n=a\u{7}b,r=abc",
        ] {
            assert_eq!(parse(text), Err(Verdict::Refused), "{text}");
        }
        for text in [
            "",
            "n",
            "n,",
            "n,,",
            "n,,n=user",
            "n,,n=user,r=",
            "n,,n=user,r=a b",
            "x,,n=user,r=abc",
            "n,,m=x,n=user,r=abc",
            "n,,n=u=ser,r=abc",
            "n,,n=user=,r=abc",
            "n,user,n=user,r=abc",
            "n,,n=u=2cser,r=abc",
        ] {
            assert_eq!(parse(text), Err(Verdict::Malformed), "{text}");
        }
        let long = format!("n,,n=user,r={}", "x".repeat(MAX_NONCE));
        assert!(parse(&long).is_ok());
        assert_eq!(parse(&format!("{long}x")), Err(Verdict::Malformed));
        let huge = format!("n,,n=user,r=abc,x={}", "x".repeat(MAX_MESSAGE));
        assert_eq!(parse(&huge), Err(Verdict::Malformed));
    }

    proptest! {
        #[test]
        fn no_message_panics(first in "[nyp],(a=[ -~]{0,4})?,n=[ -~]{0,6},r=[ -~]{0,6}", odd: Vec<u8>) {
            let _ = First::parse(first.as_bytes(), "s");
            let _ = First::parse(&odd, "s");
            let first = First::parse(b"n,,n=user,r=abc", "s").expect("parsed");
            let keys = ScramKeys::decoy(&Secret::new("k"), "user");
            let _ = first.challenge(keys, Standing::Decoy).0.check(&odd);
        }
    }
}
