//! `maildirsize`: whether it says how much mail there is.

use courier_core::disk::Op;

use super::{Check, CheckError};
use crate::quota::{self, Amount, FILE, LIMIT, Rest, SizeFile, Trust};
use crate::replace::is_absent;

impl Check<'_> {
    pub(super) async fn quota(&mut self) -> Result<(), CheckError> {
        let path = self.maildir.join(FILE);
        let octets = match self.disk.read(&path, 0..LIMIT).await {
            Ok(octets) => octets,
            Err(error) if is_absent(error.kind) => return Ok(()),
            Err(error) => return Err(error.into()),
        };
        let file = SizeFile::parse(&octets);
        let there = quota::total(self.disk, self.maildir).await?;
        // Others may have added mail and its record meanwhile.
        let again = self.disk.read(&path, 0..LIMIT).await;
        if again.is_ok_and(|again| again != octets) {
            return Ok(());
        }
        let wrong = match file.trust {
            Trust::Damaged => "is empty or damaged: the limit is lost".to_owned(),
            // Too long to be read, which the next writer sees, or a sum below nothing.
            Trust::Recount if octets.len() as u64 >= LIMIT => return Ok(()),
            _ if file.total == there => return Ok(()),
            _ => format!("says {}, there are {}", told(file.total), told(there)),
        };
        if !self.fixes() {
            self.error(&path, wrong);
            return Ok(());
        }
        let mut counted = quota::recount(self.disk, self.maildir, file.spec, self.writer).await;
        let synced = self.disk.one(Op::SyncDir(self.maildir.to_path_buf())).await;
        counted = counted.and_then(|count| synced.map(|_| count));
        let done = match file.trust {
            Trust::Damaged => "counted; set the quota anew",
            _ => "counted",
        };
        match counted {
            Ok(count) if count.rest == Rest::Moving => {
                self.note(&path, format!("{wrong}; counted while mail came or went"));
            }
            counted => self.mended(&path, &wrong, done, counted),
        }
        Ok(())
    }
}

fn told(amount: Amount) -> String {
    format!("{} octets in {} messages", amount.octets, amount.messages)
}
