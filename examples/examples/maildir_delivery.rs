//! A delivery into a maildir, with the plug pulled at every step; and then the same
//! delivery on a real disk.
//!
//! ```sh
//! cargo run -p courier-examples --example maildir_delivery
//! ```
//!
//! `courier-maildir` says what is to be done to files, in which order, and touches
//! none. Who carries it out is a driver: here first `MemDisk`, a model of a disk that
//! forgets what was not synced, then `StdDisk`, the file system.

use std::collections::BTreeMap;
use std::error::Error;
use std::path::Path;

use courier_cli::disk::StdDisk;
use courier_cli::throwaway::Throwaway;
use courier_core::disk::{self, DiskTask};
use courier_core::mta::journal::MessageId;
use courier_core::testing::MemDisk;
use courier_core::time::Timestamp;
use courier_maildir::content::Content;
use courier_maildir::delivery::{Absent, Attempt, Delivered, Delivery, DeliveryError, deliver};
use courier_maildir::folder::FolderPath;
use courier_maildir::name::{HostName, Maker, UniqueName};
use courier_maildir::writer::Writer;

const MESSAGE: &[u8] = b"Subject: The cat\n\nShe is on the keyboard again.\n";

/// What comes of it.
type Outcome = Result<Delivered, DeliveryError>;

/// The delivery, as a task that a driver carries out. Its name follows from the
/// message's number: whoever tries again lands on the same file.
fn delivery(maildir: &Path, attempt: Attempt) -> DiskTask<'static, Option<Outcome>> {
    let host = HostName::new("mx.example.com");
    let begun = Timestamp {
        seconds: 1_795_000_000,
        nanos: 0,
    };
    let writer = Writer::new(begun, 4711, host.clone(), 0o600);
    let maker = Maker::Journal {
        message: MessageId(9),
        recipient: 0,
    };
    let batch = vec![Delivery {
        folder: FolderPath::inbox(maildir),
        name: UniqueName {
            seconds: 1_795_000_000,
            micros: 0,
            maker,
            host,
        },
        content: Content::default().octets(MESSAGE),
        attempt,
        absent: Absent::Refuse,
    }];
    disk::task(|disk| async move { deliver(&disk, batch, &writer).await.pop() })
}

/// Where the message is after a crash.
fn state(world: &MemDisk) -> &'static str {
    let delivered = world.names("/Maildir/new");
    match delivered.as_slice() {
        [] => "not there",
        [name] => {
            let found = world.contents(format!("/Maildir/new/{name}"));
            assert_eq!(found.as_deref(), Some(MESSAGE), "what is in new is whole");
            "delivered"
        }
        more => panic!("delivered {} times", more.len()),
    }
}

/// Cuts the delivery off after every step, in every way that a disk may forget, and
/// counts where the message is then.
fn pull_the_plug() -> BTreeMap<&'static str, u32> {
    let mut states = BTreeMap::new();
    for steps in 0.. {
        let maildir = Path::new("/Maildir");
        let mut world = MemDisk::new();
        for part in ["tmp", "new", "cur"] {
            world.plant_directory(maildir.join(part));
        }
        let done = world.run_until(steps, delivery(maildir, Attempt::First));
        for mut crashed in world.crashes() {
            let found = state(&crashed);
            *states.entry(found).or_insert(0) += 1;
            // What was reported delivered stays delivered.
            assert!(done.is_none() || found == "delivered");
            // Whatever happened, trying again ends with exactly one message.
            let again = crashed.run(delivery(maildir, Attempt::Repeated));
            assert!(matches!(again, Some(Ok(_))), "{again:?}");
            assert_eq!(state(&crashed), "delivered");
        }
        if done.is_some() {
            println!("the delivery takes {steps} steps");
            break;
        }
    }
    states
}

fn main() -> Result<(), Box<dyn Error>> {
    let states = pull_the_plug();
    for (state, times) in &states {
        println!("after {times} of the crashes the message is {state}");
    }
    assert!(states.contains_key("delivered") && states.contains_key("not there"));

    // The same task, on the file system.
    let root = Throwaway::new()
        .account("ann@example.com", "sesame")
        .make()?;
    let maildir = root.maildir("ann@example.com");
    let outcome = StdDisk::new(1).run(delivery(maildir, Attempt::First));
    let delivered = outcome.ok_or("one delivery has one outcome")??;
    let file = maildir.join("new").join(delivered.base);
    println!("\n{}", file.display());
    assert_eq!(std::fs::read(file)?, MESSAGE);
    Ok(())
}

#[test]
fn the_example_is_right() -> Result<(), Box<dyn Error>> {
    main()
}
