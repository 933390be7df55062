//! Carries out the copies of a plan.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use esb_model::{Activity, ActivityGuard, Event, Reporter};
use esb_oci::Digest;
use futures_util::{StreamExt as _, stream};

use crate::{
    Client, Error, PlannedCopy, PlannedImage, PushReport, PushSession, SyncItem, SyncPlan,
    SyncStep, registry::repository,
};

/// The result of a sync, one entry for each image, in the plan's order.
#[derive(Debug)]
pub struct Synced {
    pub images: Vec<SyncedImage>,
}

/// The result for one image.
#[derive(Debug)]
pub struct SyncedImage {
    pub item: SyncItem,
    /// What was done, or why it could not be. `None` when an earlier failure ended the sync.
    pub report: Option<Result<PushReport, Error>>,
    pub time: Duration,
}

impl Client {
    /// Makes the copies of a plan, `jobs` at a time. Images whose step is an error keep it. Unless
    /// `keep_going` is set, no copy begins after a failure; those in progress finish.
    ///
    /// Each target is then checked for the expected digest.
    pub async fn sync(
        &self,
        plan: SyncPlan,
        jobs: usize,
        keep_going: bool,
        session: &PushSession,
        reporter: &Arc<dyn Reporter>,
    ) -> Synced {
        let failed = std::sync::atomic::AtomicBool::new(false);
        let failed = &failed;
        let images = stream::iter(plan.images).map(async |PlannedImage { item, step }| {
            use std::sync::atomic::Ordering::SeqCst;
            let start = Instant::now();
            let report = match step {
                Ok(SyncStep::Present { digest, .. }) => Ok(present(digest)),
                Ok(SyncStep::Copy(_)) if failed.load(SeqCst) && !keep_going => {
                    return SyncedImage { item, report: None, time: Duration::ZERO };
                }
                Ok(SyncStep::Copy(copy)) => self.sync_one(&item, &copy, session, reporter).await,
                Err(error) => Err(error),
            };
            failed.fetch_or(report.is_err(), SeqCst);
            SyncedImage { item, report: Some(report), time: start.elapsed() }
        });
        Synced { images: images.buffered(jobs.max(1)).collect().await }
    }

    async fn sync_one(
        &self,
        item: &SyncItem,
        copy: &PlannedCopy,
        session: &PushSession,
        reporter: &Arc<dyn Reporter>,
    ) -> Result<PushReport, Error> {
        let (at, tag) = (repository(&item.target), item.target.target());
        let subject = item.target.to_string();
        let activity = ActivityGuard::start(&**reporter, &subject, Activity::Sync);
        let mut report = PushReport::default();
        for parts in &copy.parts {
            let own = parts.digest.to_string();
            let name = if parts.digest == copy.digest { &tag } else { &own };
            report.add(&self.push_parts(parts, &at, &[name], session, reporter).await?);
        }
        if !self.leads_to(&item.target, copy.digest, session).await? {
            let actual = self.digest_of(&item.target).await?;
            let subject = item.target.to_string();
            return Err(Error::DigestMismatch { subject, expected: copy.digest, actual });
        }
        report.digest = Some(copy.digest);
        let (done, total) = (report.uploaded_bytes, Some(report.uploaded_bytes));
        reporter.event(&Event::Progress { subject: &subject, action: Activity::Sync, done, total });
        activity.finish(&format!("from {}", copy.from));
        Ok(report)
    }
}

fn present(digest: Digest) -> PushReport {
    PushReport { unchanged: true, digest: Some(digest), ..PushReport::default() }
}
