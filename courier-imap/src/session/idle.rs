//! IDLE (RFC 2177): the client waits for news, until it says DONE.

use super::output::Watch;
use super::reply::Reply;
use super::sync::{Numbers, Telling};
use super::{After, Core, Intake, Job, Progress};
use crate::grammar::framing::{Frame, Limits};

#[derive(Debug)]
pub(super) struct Idle {
    state: State,
}

#[derive(Debug)]
enum State {
    /// Nothing to tell.
    Rest,
    Asked,
    Telling(Telling),
    Ended(Reply),
}

impl Idle {
    pub(super) fn new(core: &mut Core) -> Self {
        core.out.write("+ entering idle mode\r\n");
        // What has happened up to now is news as well.
        core.attention = true;
        let state = State::Rest;
        Self { state }
    }
}

impl Job for Idle {
    fn run(&mut self, core: &mut Core) -> Progress {
        loop {
            match &mut self.state {
                State::Rest if core.attention && core.mailbox.is_some() => {
                    self.state = State::Asked;
                    return core.ask_refresh();
                }
                State::Rest => return Progress::Input,
                State::Asked => {
                    // A refusal is told by the next command that asks; but not that the
                    // mailbox has gone, since there will be none.
                    if core.take_changes().is_err() && core.after != After::Nothing {
                        self.state = State::Ended(Reply::no("NONEXISTENT", "IDLE ended."));
                        continue;
                    }
                    self.state = State::Telling(Telling::new(Numbers::MayMove));
                }
                State::Telling(telling) => {
                    if !telling.run(core) {
                        return Progress::Full;
                    }
                    self.state = State::Rest;
                }
                State::Ended(reply) => return Progress::Done(reply.clone()),
            }
        }
    }

    fn input<'b>(&mut self, core: &mut Core, input: &'b [u8]) -> Intake<'b> {
        let (count, frame) = core.framer.next(input, Limits::LINE);
        let reply = match frame {
            Frame::More => return Intake::Need(count),
            Frame::Command(line) if line.trim_ascii_end().eq_ignore_ascii_case(b"DONE") => {
                Reply::ok("IDLE completed.")
            }
            _ => Reply::bad("DONE expected."),
        };
        self.state = State::Ended(reply);
        Intake::Took(count)
    }

    fn is_idle(&self) -> bool {
        matches!(self.state, State::Rest)
    }

    fn watch(&self) -> Watch {
        Watch::Mailbox
    }
}
