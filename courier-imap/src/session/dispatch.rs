//! Which command may come when, and who carries it out.

use super::messages::writable;
use super::output::FolderChange;
use super::reply::{MailboxNews, Reply, name};
use super::{After, Begin, Core, Job, Standing};
use super::{copy, expunge, fetch, folders, idle, list, login, search, select, store};
use crate::grammar::command::Command;

/// The state a command needs (RFC 3501 §3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Needs {
    Nothing,
    NoLogin,
    Login,
    Mailbox,
}

fn needs(command: &Command<'_>) -> Needs {
    match command {
        Command::Capability | Command::Noop | Command::Logout | Command::Id(_) => Needs::Nothing,
        Command::StartTls | Command::Login { .. } | Command::Authenticate { .. } => Needs::NoLogin,
        Command::Enable(_)
        | Command::Select { .. }
        | Command::Create(_)
        | Command::Delete(_)
        | Command::Rename { .. }
        | Command::Subscribe(_)
        | Command::Unsubscribe(_)
        | Command::List { .. }
        | Command::Namespace
        | Command::Status { .. }
        | Command::Idle => Needs::Login,
        Command::Check
        | Command::Close
        | Command::Unselect
        | Command::Expunge(_)
        | Command::Search { .. }
        | Command::Fetch { .. }
        | Command::Store { .. }
        | Command::Copy { .. } => Needs::Mailbox,
    }
}

pub(super) fn begin(core: &mut Core, command: Command<'_>) -> Begin {
    let refused = match (needs(&command), core.standing, &core.mailbox) {
        (Needs::NoLogin, Standing::Known, _) => Some("Already logged in."),
        (Needs::Login | Needs::Mailbox, Standing::Stranger, _) => Some("Log in first."),
        (Needs::Mailbox, _, None) => Some("Select a mailbox first."),
        _ => None,
    };
    if let Some(text) = refused {
        return Begin::Done(Reply::bad(text));
    }
    start(core, command).unwrap_or_else(Begin::Done)
}

/// Err is a reply at once.
fn start(core: &mut Core, command: Command<'_>) -> Result<Begin, Reply> {
    Ok(match command {
        Command::Capability => Begin::Done(core.capability()),
        Command::Noop => done("NOOP completed.", MailboxNews::Fresh),
        Command::Check => done("CHECK completed.", MailboxNews::Fresh),
        Command::Logout => {
            core.out
                .write("* BYE Courier-IMAP server shutting down\r\n");
            core.after = After::Close;
            done("LOGOUT completed.", MailboxNews::None)
        }
        Command::Id(pairs) => Begin::Done(core.id(&pairs)),
        Command::StartTls => Begin::Done(login::start_tls(core)?),
        Command::Login { user, password } => job(login::Login::command(core, &user, password)?),
        Command::Authenticate { mechanism, initial } => {
            job(login::Login::sasl(core, mechanism, initial)?)
        }
        Command::Enable(_) => Begin::Done(core.enable()),
        Command::Namespace => Begin::Done(core.namespace()),
        Command::Select { mailbox, access } => {
            // RFC 3501 §6.3.1: the old mailbox is closed even if the new one is not opened.
            let mailbox = name(&mailbox).inspect_err(|_| core.deselect())?;
            core.mailbox = None;
            job(select::Select::new(mailbox, access))
        }
        Command::Create(mailbox) => folders::create(&mailbox)?,
        Command::Delete(mailbox) => folders::delete(core, &mailbox)?,
        Command::Rename { from, to } => folders::rename(core, &from, &to)?,
        Command::Subscribe(mailbox) => folders::change(
            FolderChange::Subscribe(name(&mailbox)?),
            "SUBSCRIBE completed.",
        ),
        Command::Unsubscribe(mailbox) => folders::change(
            FolderChange::Unsubscribe(name(&mailbox)?),
            "UNSUBSCRIBE completed.",
        ),
        Command::List {
            reference,
            pattern,
            scope,
        } => list::begin(core, &reference, &pattern, scope),
        Command::Status { mailbox, items } => job(folders::Status::new(name(&mailbox)?, items)),
        Command::Idle => job(idle::Idle::new(core)),
        Command::Close => job(expunge::Expunge::close()),
        Command::Unselect => {
            core.deselect();
            done("UNSELECT completed.", MailboxNews::None)
        }
        Command::Expunge(set) => {
            writable(core)?;
            job(expunge::Expunge::new(set))
        }
        Command::Search { key, by } => job(search::Search::new(core, key, by)),
        Command::Fetch { set, items, by } => job(fetch::Fetch::new(core, &set, items, by)),
        Command::Store {
            set,
            change,
            echo,
            by,
        } => {
            writable(core)?;
            job(store::Store::new(core, &set, change, echo, by)?)
        }
        Command::Copy {
            set,
            mailbox,
            mode,
            by,
        } => job(copy::Copy::new(core, &set, name(&mailbox)?, mode, by)?),
    })
}

fn job(job: impl Job + 'static) -> Begin {
    Begin::Job(Box::new(job))
}

fn done(text: &'static str, news: MailboxNews) -> Begin {
    Begin::Done(Reply::ok(text).with_news(news))
}
