//! SASL (RFC 4422) for servers: PLAIN, LOGIN and SCRAM-SHA-256.
//!
//! An [`Exchange`] is fed with what the client says and gives back what to do next:
//! say something to the client, or ask the host about an account. Checking a
//! password is dear, so the host does it on a bounded pool, and answers with the
//! token it was given.
//!
//! ```
//! use courier_core::account::sasl::{Exchange, Material, Mechanism, Output, Verdict, Verified};
//! use courier_core::account::secret::Secret;
//!
//! let material = Material { nonce: [7; 18], server_key: Secret::new("of this server") };
//! let mut exchange = Exchange::new(Mechanism::Plain, material);
//! let Output::Verify { token, login, password } =
//!     exchange.begin(Some(Secret::new("\0john@example.com\0sesame")))
//! else {
//!     panic!("PLAIN asks for a check at once");
//! };
//! assert_eq!(login.as_str(), "john@example.com");
//! assert_eq!(password, Secret::new("sesame"));
//! let output = exchange.verified(token, Verified::Yes);
//! assert!(matches!(output, Output::Say(Verdict::Accepted)));
//! ```

mod plain;
mod scram;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::login::Login;
use super::password::ScramKeys;
use super::secret::Secret;
use crate::token::{Serials, Token};
use scram::{Challenged, First, Standing};

/// What the server makes of the client's last word in an exchange.
///
/// The protocol machines carry challenges and responses and know no mechanism: the
/// host answers each response with one of these.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Send this challenge (not yet in base64) and wait for the response.
    Challenge(Vec<u8>),
    /// The client is who it says.
    Accepted,
    /// Unknown, wrong or not allowed; to the client these look alike.
    Refused,
    /// The mechanism does not allow such a response.
    Malformed,
    /// The account database cannot answer now.
    Unavailable,
}

/// A mechanism that an [`Exchange`] can carry out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Mechanism {
    /// PLAIN (RFC 4616).
    Plain,
    /// LOGIN: two questions, no standard, and old clients know nothing else.
    Login,
    /// SCRAM-SHA-256 (RFC 7677), without channel binding.
    ScramSha256,
}

impl Mechanism {
    /// Every mechanism, the best first.
    pub const ALL: [Self; 3] = [Self::ScramSha256, Self::Plain, Self::Login];

    /// The mechanism of this name, in any case.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|mechanism| mechanism.name().eq_ignore_ascii_case(name))
    }

    /// The registered name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Plain => "PLAIN",
            Self::Login => "LOGIN",
            Self::ScramSha256 => "SCRAM-SHA-256",
        }
    }

    /// Whether the password itself crosses the wire, so that TLS must protect it.
    #[must_use]
    pub fn sends_password(self) -> bool {
        matches!(self, Self::Plain | Self::Login)
    }
}

/// What an exchange cannot make up itself.
#[derive(Debug)]
pub struct Material {
    /// Random octets, fresh for each exchange.
    pub nonce: [u8; 18],
    /// A secret of this server that stays the same over time and restarts: the salts
    /// shown for logins that are not there follow from it.
    pub server_key: Secret,
}

/// The question of [`Output::Verify`].
#[derive(Debug)]
pub enum Verify {}
/// The question of [`Output::FindKeys`].
#[derive(Debug)]
pub enum FindKeys {}

/// What to do next.
#[derive(Debug)]
#[must_use]
pub enum Output {
    /// Tell the protocol machine; anything but a challenge ends the exchange.
    Say(Verdict),
    /// Is this the password of that login? Answer with [`Exchange::verified`]. For a
    /// login that is not there let [`super::password::verify_nobody`] take its time.
    Verify {
        /// The right to answer.
        token: Token<Verify>,
        /// Who the client says it is.
        login: Login,
        /// What it says to prove it.
        password: Secret,
    },
    /// Which SCRAM-SHA-256 keys has this login? Answer with [`Exchange::keys`].
    FindKeys {
        /// The right to answer.
        token: Token<FindKeys>,
        /// Who the client says it is.
        login: Login,
    },
}

/// The answer to [`Output::Verify`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verified {
    /// It is, and the account may log in here.
    Yes,
    /// Wrong, unknown, or not allowed here.
    No,
    /// The account database cannot answer now.
    Unavailable,
}

/// The answer to [`Output::FindKeys`].
#[derive(Debug)]
pub enum Keys {
    /// The keys of an account that may log in here.
    Found(ScramKeys),
    /// No such account, no keys stored for it, or not allowed here. The client is
    /// shown a salt made from `name`.
    None {
        /// The name the account would have: the same for all spellings of a login,
        /// or the salts would tell which spellings mean one account.
        name: String,
    },
    /// The account database cannot answer now.
    Unavailable,
}

/// One exchange, from the client's choice of a mechanism to the verdict.
#[derive(Debug)]
pub struct Exchange {
    material: Material,
    serials: Serials,
    state: State,
}

#[derive(Debug)]
enum State {
    /// The mechanism is chosen, its first response not here yet.
    Chosen(Mechanism),
    /// LOGIN: the user name is here, the password not.
    Named(Login),
    /// [`Output::Verify`] is open under this serial number.
    Verifying(u64, Login),
    /// [`Output::FindKeys`] is open under this serial number.
    FindingKeys(u64, Box<First>),
    /// `server-first-message` was sent.
    Challenged(Box<Challenged>),
    /// `server-final-message` was sent; the client's empty response is due.
    Proved(Login),
    Accepted(Login),
    Over,
}

impl Exchange {
    /// An exchange by this mechanism.
    #[must_use]
    pub fn new(mechanism: Mechanism, material: Material) -> Self {
        Self {
            material,
            serials: Serials::default(),
            state: State::Chosen(mechanism),
        }
    }

    /// Starts, with the initial response (out of base64) if the client sent one.
    pub fn begin(&mut self, initial: Option<Secret>) -> Output {
        match (initial, &self.state) {
            (Some(initial), _) => self.respond(initial),
            (None, State::Chosen(Mechanism::Login)) => challenge(plain::USER_NAME),
            (None, _) => challenge(b""),
        }
    }

    /// Takes the client's response to the last challenge, out of base64.
    pub fn respond(&mut self, response: Secret) -> Output {
        match std::mem::replace(&mut self.state, State::Over) {
            State::Chosen(Mechanism::Plain) => match plain::parse(&response) {
                Ok((login, password)) => self.ask_verify(login, password),
                Err(verdict) => Output::Say(verdict),
            },
            State::Chosen(Mechanism::Login) => match plain::parse_login(response.expose()) {
                Ok(login) => {
                    self.state = State::Named(login);
                    challenge(plain::PASSWORD)
                }
                Err(verdict) => Output::Say(verdict),
            },
            State::Named(_) if response.is_empty() || response.expose().contains(&0) => {
                Output::Say(Verdict::Refused)
            }
            State::Named(login) => self.ask_verify(login, response),
            State::Chosen(Mechanism::ScramSha256) => self.scram_first(&response),
            State::Challenged(challenged) => match challenged.check(response.expose()) {
                Ok((login, server_final)) => {
                    self.state = State::Proved(login);
                    Output::Say(Verdict::Challenge(server_final))
                }
                Err(verdict) => Output::Say(verdict),
            },
            State::Proved(login) if response.is_empty() => {
                self.state = State::Accepted(login);
                Output::Say(Verdict::Accepted)
            }
            // Also a host that goes on while a question is open, or after the end.
            _ => Output::Say(Verdict::Malformed),
        }
    }

    /// Answers [`Output::Verify`].
    pub fn verified(&mut self, token: Token<Verify>, answer: Verified) -> Output {
        let serial = take(token);
        match std::mem::replace(&mut self.state, State::Over) {
            State::Verifying(asked, login) if asked == serial => Output::Say(match answer {
                Verified::Yes => {
                    self.state = State::Accepted(login);
                    Verdict::Accepted
                }
                Verified::No => Verdict::Refused,
                Verified::Unavailable => Verdict::Unavailable,
            }),
            _ => Output::Say(Verdict::Unavailable),
        }
    }

    /// Answers [`Output::FindKeys`].
    pub fn keys(&mut self, token: Token<FindKeys>, answer: Keys) -> Output {
        let serial = take(token);
        let first = match std::mem::replace(&mut self.state, State::Over) {
            State::FindingKeys(asked, first) if asked == serial => first,
            _ => return Output::Say(Verdict::Unavailable),
        };
        let (keys, standing) = match answer {
            Keys::Found(keys) => (keys, Standing::Known),
            Keys::None { name } => {
                let decoy = ScramKeys::decoy(&self.material.server_key, &name);
                (decoy, Standing::Decoy)
            }
            Keys::Unavailable => return Output::Say(Verdict::Unavailable),
        };
        let (challenged, server_first) = first.challenge(keys, standing);
        self.state = State::Challenged(Box::new(challenged));
        Output::Say(Verdict::Challenge(server_first))
    }

    /// Who the client is, once it was accepted.
    #[must_use]
    pub fn login(&self) -> Option<&Login> {
        match &self.state {
            State::Accepted(login) => Some(login),
            _ => None,
        }
    }

    fn ask_verify(&mut self, login: Login, password: Secret) -> Output {
        let token = self.serials.issue();
        self.state = State::Verifying(token.serial(), login.clone());
        Output::Verify {
            token,
            login,
            password,
        }
    }

    fn scram_first(&mut self, message: &Secret) -> Output {
        let nonce = STANDARD.encode(self.material.nonce);
        match First::parse(message.expose(), &nonce) {
            Ok(first) => {
                let (token, login) = (self.serials.issue(), first.login.clone());
                self.state = State::FindingKeys(token.serial(), Box::new(first));
                Output::FindKeys { token, login }
            }
            Err(verdict) => Output::Say(verdict),
        }
    }
}

fn challenge(octets: &[u8]) -> Output {
    Output::Say(Verdict::Challenge(octets.to_vec()))
}

/// Uses a token up.
#[expect(
    clippy::needless_pass_by_value,
    reason = "an answer takes its token away"
)]
fn take<Q>(token: Token<Q>) -> u64 {
    token.serial()
}

#[cfg(test)]
mod tests;
