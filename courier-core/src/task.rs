//! Procedures that need the world a few times, as coroutines.
//!
//! A procedure is an `async fn` that is given an [`Ask`] handle. What it asks is
//! handed to the host by [`Task::start`] and [`Task::next`]; the host's answer
//! resumes it. There is no runtime, no I/O trait and no callback: a loop, a
//! thread pool or a test drives it.
//!
//! ```
//! use courier_core::task::{Ask, Step, Task};
//!
//! async fn double(ask: Ask<u32, u32>) -> u32 {
//!     let first = ask.ask(1).await;
//!     ask.ask(first).await
//! }
//!
//! let mut task = Task::new(double);
//! let mut step = task.start();
//! let result = loop {
//!     match step {
//!         Step::Ask(question) => step = task.next(question * 2),
//!         Step::Done(value) => break value,
//!     }
//! };
//! assert_eq!(result, 4);
//! ```

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

/// What a task does next.
#[derive(Debug)]
pub enum Step<Q, T> {
    /// The procedure waits for the answer to this question: see [`Task::next`].
    Ask(Q),
    /// The procedure has ended.
    Done(T),
}

/// A procedure that asks `Q`, is answered `A`, and ends with a `T`.
#[must_use = "a task does nothing until it is started"]
pub struct Task<'a, Q, A, T> {
    future: Pin<Box<dyn Future<Output = T> + Send + 'a>>,
    slot: Slot<Q, A>,
}

impl<'a, Q, A, T> Task<'a, Q, A, T>
where
    Q: Send + 'a,
    A: Send + 'a,
{
    /// Prepares a procedure; nothing of it runs before [`Self::start`].
    pub fn new<P, F>(procedure: P) -> Self
    where
        P: FnOnce(Ask<Q, A>) -> F,
        F: Future<Output = T> + Send + 'a,
    {
        let slot = Slot(Arc::new(Mutex::new(State::Idle)));
        let future = Box::pin(procedure(Ask { slot: slot.clone() }));
        Self { future, slot }
    }

    /// Runs the procedure up to its first question or its end.
    ///
    /// # Panics
    /// If the procedure awaits anything that is not an [`Ask`] of its own.
    pub fn start(&mut self) -> Step<Q, T> {
        self.poll()
    }

    /// Answers the question that the last step asked, and runs on.
    ///
    /// # Panics
    /// As [`Self::start`]; and if the task has ended.
    pub fn next(&mut self, answer: A) -> Step<Q, T> {
        *self.slot.lock() = State::Answered(answer);
        self.poll()
    }

    fn poll(&mut self) -> Step<Q, T> {
        let mut context = Context::from_waker(Waker::noop());
        match self.future.as_mut().poll(&mut context) {
            Poll::Ready(value) => Step::Done(value),
            Poll::Pending => match std::mem::replace(&mut *self.slot.lock(), State::Idle) {
                State::Asked(question) => Step::Ask(question),
                State::Idle | State::Answered(_) => {
                    panic!("a task awaited something that is not a question of its own")
                }
            },
        }
    }
}

/// The procedure's end of a [`Task`]: asks one question at a time.
pub struct Ask<Q, A> {
    slot: Slot<Q, A>,
}

impl<Q, A> Clone for Ask<Q, A> {
    fn clone(&self) -> Self {
        Self {
            slot: self.slot.clone(),
        }
    }
}

impl<Q, A> Ask<Q, A> {
    /// Hands `question` to the host and waits for its answer.
    pub async fn ask(&self, question: Q) -> A {
        let mut question = Some(question);
        std::future::poll_fn(|_| {
            let mut state = self.slot.lock();
            if let Some(question) = question.take() {
                *state = State::Asked(question);
                return Poll::Pending;
            }
            match std::mem::replace(&mut *state, State::Idle) {
                State::Answered(answer) => Poll::Ready(answer),
                other => {
                    *state = other;
                    Poll::Pending
                }
            }
        })
        .await
    }
}

struct Slot<Q, A>(Arc<Mutex<State<Q, A>>>);

impl<Q, A> Slot<Q, A> {
    fn lock(&self) -> MutexGuard<'_, State<Q, A>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<Q, A> Clone for Slot<Q, A> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

enum State<Q, A> {
    Idle,
    Asked(Q),
    Answered(A),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_task_borrows_what_it_works_on() {
        let mut seen = Vec::new();
        let mut task = Task::new(|ask: Ask<&str, u8>| {
            let seen = &mut seen;
            async move {
                for name in ["a", "b"] {
                    seen.push(ask.ask(name).await);
                }
            }
        });
        assert!(matches!(task.start(), Step::Ask("a")));
        assert!(matches!(task.next(1), Step::Ask("b")));
        assert!(matches!(task.next(2), Step::Done(())));
        drop(task);
        assert_eq!(seen, [1, 2]);
    }
}
