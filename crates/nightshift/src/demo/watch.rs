//! Shows how far the orgs are: a bar for each on a terminal, plain lines elsewhere.

use std::{
    cell::RefCell,
    collections::BTreeMap,
    time::{Duration, Instant},
};

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use nightshift_domain::ids::{OrgId, SyncId};
use nightshift_store::Store;

use crate::error::CommandError;

/// Longer than this no sync of the demo takes.
const PATIENCE: Duration = Duration::from_secs(600);

/// One night's display.
pub struct Watch<'a> {
    store: &'a Store,
    title: &'static str,
    bars: MultiProgress,
    rows: RefCell<BTreeMap<&'static str, ProgressBar>>,
}

impl<'a> Watch<'a> {
    pub fn new(store: &'a Store, title: &'static str) -> Self {
        Self {
            store,
            title,
            bars: MultiProgress::new(),
            rows: RefCell::default(),
        }
    }

    /// Until every sync has ended.
    pub async fn until_over(&self, syncs: &[(&'static str, OrgId, SyncId)]) -> Result<(), CommandError> {
        let began = Instant::now();
        while self.look(syncs).await? < syncs.len() {
            if began.elapsed() > PATIENCE {
                return Err(CommandError::Refused(format!(
                    "{}: not over after {} s",
                    self.title,
                    PATIENCE.as_secs()
                )));
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        Ok(())
    }

    /// One look; how many have ended.
    pub async fn look(&self, syncs: &[(&'static str, OrgId, SyncId)]) -> Result<usize, CommandError> {
        let mut ended = 0;
        for &(name, org, sync) in syncs {
            if self.rows.borrow().get(name).is_some_and(ProgressBar::is_finished) {
                ended += 1;
                continue;
            }
            let state = self.store.syncs().show(sync).await?;
            if state.state.is_open() {
                let progress = self.store.syncs().progress(org, sync).await?;
                self.draw(
                    name,
                    progress.done,
                    progress.open,
                    progress.step.as_deref().unwrap_or("queued"),
                );
            } else {
                ended += 1;
                let changes: i64 = [state.added, state.changed, state.deleted]
                    .into_iter()
                    .flatten()
                    .sum();
                let text = match &state.failure {
                    Some((code, _)) => format!("{} ({code})", state.state),
                    None => format!("{}, {changes} changes, {:.1} s", state.state, state.seconds),
                };
                self.finish(name, &text);
            }
        }
        Ok(ended)
    }

    fn row(&self, name: &'static str) -> ProgressBar {
        let new = || {
            let style =
                ProgressStyle::with_template("{prefix:18} {bar:24} {msg}").expect("the template is ours");
            self.bars
                .add(ProgressBar::new(1).with_style(style).with_prefix(name))
        };
        self.rows.borrow_mut().entry(name).or_insert_with(new).clone()
    }

    fn draw(&self, name: &'static str, done: i64, open: i64, step: &str) {
        let bar = self.row(name);
        bar.set_length((done + open).unsigned_abs().max(1));
        bar.set_position(done.unsigned_abs());
        bar.set_message(step.to_owned());
    }

    fn finish(&self, name: &'static str, text: &str) {
        let bar = self.row(name);
        bar.set_position(bar.length().unwrap_or(1));
        bar.finish_with_message(text.to_owned());
        if self.bars.is_hidden() {
            eprintln!("{}: {name}: {text}", self.title);
        }
    }
}
