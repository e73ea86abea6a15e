//! APPEND (RFC 3501 §6.3.11, RFC 4315 §3).

use super::output::{AppendRequest, Output, Refusal};
use super::reply::{MailboxNews, Reply, name, wrong};
use super::{Answer, Begin, Core, Intake, Job, Progress};
use crate::grammar::command::Literal;
use crate::grammar::framing::{Frame, Limits, MOST_DROPPED, Pace};

/// Begins an APPEND whose message is about to come.
pub(super) fn begin(core: &mut Core, head: &[u8], size: u64, pace: Pace) -> Begin {
    core.set_tag(head);
    match request(core, head, size) {
        Ok(request) => {
            let state = State::Begin(request);
            Begin::Job(Box::new(Append { state, size, pace }))
        }
        Err(reply) => Begin::Done(refuse(core, reply, size, pace)),
    }
}

fn request(core: &Core, head: &[u8], size: u64) -> Result<AppendRequest, Reply> {
    let head = match Literal::after(head) {
        Ok(Literal::Message(head)) => head,
        Ok(Literal::Argument) => return Err(Reply::bad("The message is missing.")),
        Err(error) => return Err(wrong(&error)),
    };
    let mailbox = name(&head.mailbox)?;
    if size > core.settings.append_limit {
        return Err(Reply::refused(Refusal::TooBig));
    }
    Ok(AppendRequest {
        mailbox,
        flags: head.flags,
        date: head.date.map(|date| date.0),
        size,
    })
}

/// Refuses a message; one that comes all the same is read away.
fn refuse(core: &mut Core, reply: Reply, size: u64, pace: Pace) -> Reply {
    if pace == Pace::Runs {
        if size > core.settings.append_limit.max(MOST_DROPPED) {
            core.after = super::After::Bye("[TOOBIG] The message is too large to be read away.");
        } else {
            core.framer.drop_message(size);
        }
    }
    reply
}

#[derive(Debug)]
struct Append {
    state: State,
    size: u64,
    pace: Pace,
}

#[derive(Debug)]
enum State {
    Begin(AppendRequest),
    AskedBegin,
    /// So many octets are still to come.
    Receiving(u64),
    /// The line end behind the message.
    End,
    Complete,
    AskedFinish,
    /// Something else than a line end came.
    Wrong,
}

impl Job for Append {
    fn run(&mut self, core: &mut Core) -> Progress {
        match std::mem::replace(&mut self.state, State::Wrong) {
            State::Begin(request) => {
                self.state = State::AskedBegin;
                core.ask(|token| Output::Append(token, request))
            }
            State::AskedBegin => {
                let refusal = match core.take_answer() {
                    Some(Answer::AppendBegun(Ok(()))) => {
                        if self.pace == Pace::Waits {
                            core.out.write("+ Ready for literal data.\r\n");
                        }
                        self.state = State::Receiving(self.size);
                        return Progress::Input;
                    }
                    Some(Answer::AppendBegun(Err(refusal))) => refusal,
                    _ => Refusal::ServerBug,
                };
                let reply = Reply::refused_target(refusal);
                Progress::Done(refuse(core, reply, self.size, self.pace))
            }
            state @ (State::Receiving(_) | State::End) => {
                self.state = state;
                Progress::Input
            }
            State::Complete => {
                self.state = State::AskedFinish;
                core.ask(Output::AppendFinish)
            }
            State::AskedFinish => Progress::Done(match core.take_answer() {
                Some(Answer::Appended(Ok(appended))) => {
                    let (validity, uid) = (appended.uid_validity.0, appended.uid.0);
                    Reply::ok("APPEND completed.")
                        .with_code(format!("APPENDUID {validity} {uid}"))
                        .with_news(MailboxNews::Fresh)
                }
                Some(Answer::Appended(Err(refusal))) => Reply::refused_target(refusal),
                _ => Reply::refused(Refusal::ServerBug),
            }),
            State::Wrong => {
                core.question = Some(Output::AppendAbandoned);
                Progress::Done(Reply::bad("The end of the command expected."))
            }
        }
    }

    fn input<'b>(&mut self, core: &mut Core, input: &'b [u8]) -> Intake<'b> {
        if let State::Receiving(left @ 1..) = &mut self.state {
            let most = usize::try_from(*left).unwrap_or(usize::MAX);
            let octets = input.get(..most).unwrap_or(input);
            if octets.is_empty() {
                return Intake::Need(0);
            }
            *left -= octets.len() as u64;
            return Intake::Data(octets);
        }
        self.state = State::End;
        let (count, frame) = core.framer.next(input, Limits::LINE);
        self.state = match frame {
            Frame::More => return Intake::Need(count),
            Frame::Command(line) if line.iter().all(|octet| *octet == b' ') => State::Complete,
            _ => State::Wrong,
        };
        Intake::Took(count)
    }

    fn is_in_literal(&self) -> bool {
        matches!(self.state, State::Receiving(_) | State::End)
    }
}
