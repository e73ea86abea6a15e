//! Addresses: domains, mailboxes, the paths of an SMTP envelope, and the address
//! lists of header fields.
//!
//! Text from a peer becomes a type at the edge: [`Domain`], [`LocalPart`],
//! [`Mailbox`] (always with a domain), [`Address`] (as people write it, the domain
//! may be missing), [`ReversePath`] and [`ForwardPath`]. What headers hold is often
//! no valid address and has to be shown all the same, so [`list`] gives raw octets
//! and never fails.
//!
//! ```
//! use courier_core::address::{ForwardPath, Mailbox};
//!
//! let mailbox = Mailbox::parse("\"jane\"@BÜCHER.example.".as_bytes())?;
//! assert_eq!(mailbox.to_string(), "jane@bücher.example");
//! assert_eq!(mailbox.domain().to_ascii(), "xn--bcher-kva.example");
//!
//! let taken = ForwardPath::take(b"<@relay.example:jane@example.com> NOTIFY=NEVER")?;
//! assert_eq!(taken.path.to_string(), "<jane@example.com>");
//! assert_eq!(taken.rest, b" NOTIFY=NEVER");
//! # Ok::<(), courier_core::address::AddressError>(())
//! ```

mod domain;
mod error;
pub mod list;
mod mailbox;
mod path;
#[cfg(test)]
pub(crate) mod samples;

pub use domain::Domain;
pub use error::AddressError;
pub use mailbox::{Address, LocalPart, Mailbox};
pub use path::{ForwardPath, ReversePath, Taken};

/// Octets of a path with its angle brackets (RFC 5321 §4.5.3.1.3).
pub const PATH_LIMIT: usize = 256;

/// Octets of a local part without quotes (RFC 5321 §4.5.3.1.1).
///
/// Longer ones are no syntax error here, since an account may have such a name: see
/// [`LocalPart::check_length`].
pub const LOCAL_PART_LIMIT: usize = 64;

/// Octets of a domain, of either of its forms (RFC 5321 §4.5.3.1.2).
pub const DOMAIN_LIMIT: usize = 255;

/// Octets of a label of a domain in ACE form (RFC 1035 §2.3.4).
pub const LABEL_LIMIT: usize = 63;
