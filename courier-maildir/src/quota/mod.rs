//! Quotas: how much mail a maildir may hold, and how much it does.
//!
//! A maildir has a quota if it has the file [`maildirsize`](FILE); its folders share
//! it, except the trash, which is free, as are messages that are marked as trashed.
//! Real Courier, maildrop and Dovecot keep the same file.
//!
//! A task that adds mail asks [`check`], then [charges](Checked::charge) before the mail
//! appears: cut off in between, too much is on record, not too little, and the next
//! recount sets it right. A task that has removed mail [`release`]s. An account's quota
//! from elsewhere comes in with each [`Account`], or once by [`adopt`].
//!
//! # An empty file
//! After a loss of power a file that somebody replaced without a sync may be empty or
//! hold NULs. Courier takes that for a quota without limits. Here the limit of such a
//! file is not known: if the account has a quota from elsewhere, it is written and the
//! mail counted; if not, the mail is counted all the same, under an empty first line,
//! which everybody reads as no limit, so that no record ever becomes the first line. Mail
//! is not refused for a limit that nobody knows.

mod amount;
mod check;
mod counted;
mod delivery;
mod file;
mod meter;
mod recount;
mod set;
mod spec;
mod usage;
mod warning;

pub use amount::Amount;
pub use check::{Account, Checked, Verdict, check, release};
pub use counted::{TRASH, is_exempt};
pub(crate) use counted::{counts, is_counted, size};
pub use delivery::{Admitted, Metered, Target, admit, deliver, deliver_counted, deliver_known};
pub use file::{End, FILE, LIMIT, SizeFile, Trust, print, record};
pub(crate) use meter::{Charge, Meter, is_shared, renew, weigh};
pub(crate) use recount::total;
pub use recount::{Recount, Rest, recount};
pub use set::{Set, adopt, set, top};
pub use spec::QuotaSpec;
pub use usage::{Resource, Usage, usage};
pub use warning::{STAMP, Warning, warn};
