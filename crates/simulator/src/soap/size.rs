//! How large a retrieve's zip would be, and whether Salesforce would hand it over: 39 MB packed (50 MB as base64), 600 MB
//! unpacked.
//!
//! The zip itself is written while it is sent, so its size is not known before. A sample of the members says whether it
//! comes near a limit; only then all of them are packed to be counted, and thrown away.

use std::cell::Cell;

use super::{
    deliver::entries,
    jobs::{Failed, Load},
    request::Plan,
};
use crate::{
    limits::OrgLimits,
    zip::{Content, ZipPieces},
};

/// So many members at least are looked at, all of them where there are fewer.
const SAMPLE: usize = 64;

#[derive(Clone, Copy, Default)]
struct Size {
    packed: u64,
    unpacked: u64,
}

/// Why the retrieve fails, if its zip is too large. *nv*: the words about the unpacked size.
pub(super) fn too_large(load: &Load, limits: &OrgLimits) -> Option<Failed> {
    let step = (load.plan.items.len() / SAMPLE).max(1);
    let mut size = every(step, load)?;
    if step > 1 {
        let near = |bytes: u64, limit: u64| bytes.saturating_mul(step as u64) > limit / 2;
        if !near(size.packed, limits.zip_bytes) && !near(size.unpacked, limits.unpacked_bytes) {
            return None;
        }
        size = every(1, load)?;
    }
    let most = if size.packed > limits.zip_bytes {
        // it is counted as it is sent
        limits.zip_bytes / 3 * 4
    } else if size.unpacked > limits.unpacked_bytes {
        limits.unpacked_bytes
    } else {
        return None;
    };
    Some(Failed {
        code: "LIMIT_EXCEEDED".to_owned(),
        text: format!(
            "LIMIT_EXCEEDED: Maximum size of request reached. Maximum size of request is {most} bytes."
        ),
    })
}

/// The size of a zip of every so many members; none where they cannot be read, which whoever fetches it is told.
fn every(step: usize, load: &Load) -> Option<Size> {
    let plan = Plan {
        items: load.plan.items.iter().step_by(step).cloned().collect(),
        delivered: load.plan.delivered.clone(),
        ..Plan::default()
    };
    let part = Load {
        plan: plan.into(),
        ..load.clone()
    };
    let unpacked = Cell::new(0);
    let entries = entries(&part, "unpackaged/").inspect(|entry| {
        if let Ok(entry) = entry {
            unpacked.set(
                unpacked.get()
                    + match &entry.content {
                        Content::Bytes(bytes) => bytes.len() as u64,
                        Content::Zeros(zeros) => *zeros,
                    },
            );
        }
    });
    let mut packed = 0;
    for piece in ZipPieces::new(entries) {
        packed += piece.ok()?.len() as u64;
    }
    Some(Size {
        packed,
        unpacked: unpacked.get(),
    })
}
