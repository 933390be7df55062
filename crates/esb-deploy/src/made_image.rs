//! An image that a run built or found again.

use std::time::Duration;

use esb_image::Action;
use esb_model::{
    Event, ImageChange, ImageDone, ImageKind, ImageRecipe, ImageRole, Platform, Reporter,
};
use esb_oci::Image;

/// One image of a run.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct MadeImage {
    /// Its name in a registry, without host and prefix.
    pub repository: String,
    /// Its plain tag.
    pub tag: String,
    /// A further tag that the template asks for.
    pub(crate) extra_tag: Option<String>,
    /// Whether it is a base or a function's image.
    pub kind: ImageKind,
    /// The platform that it runs on.
    pub platform: Platform,
    /// Its content.
    pub image: Image,
    action: Action,
    /// Why it was built, or was not.
    pub reason: String,
    /// The engine that built it.
    pub builder: &'static str,
    /// The daemon of a fleet that built it.
    pub daemon: Option<String>,
    /// How long it took to build and push it.
    pub time: Duration,
    upload: Option<Upload>,
}

/// The upload of an image.
#[derive(Debug, Clone, Copy)]
struct Upload {
    bytes: u64,
    mounted: usize,
    /// Whether the registry had everything.
    unchanged: bool,
}

impl MadeImage {
    pub(crate) fn new(
        recipe: &ImageRecipe,
        image: Image,
        action: Action,
        reason: String,
        builder: &'static str,
        time: Duration,
    ) -> Self {
        Self {
            repository: recipe.repository.clone(),
            tag: recipe.tag.clone(),
            extra_tag: recipe.own.as_ref().and_then(|own| own.tag.clone()),
            kind: recipe.kind.clone(),
            platform: recipe.platform,
            image,
            action,
            reason,
            builder,
            daemon: None,
            time,
            upload: None,
        }
    }

    /// Adds the daemon of a fleet that built it.
    pub(crate) fn on(mut self, daemon: Option<String>) -> Self {
        self.daemon = daemon;
        self
    }

    /// Adds what a push did.
    pub(crate) fn pushed(&mut self, report: &esb_registry::PushReport, time: Duration) {
        self.time += time;
        self.upload = Some(Upload {
            bytes: report.uploaded_bytes,
            mounted: report.mounted,
            unchanged: report.unchanged,
        });
    }

    /// The plain tags: its own first.
    pub fn tags(&self) -> impl Iterator<Item = &str> {
        [Some(&self.tag), self.extra_tag.as_ref()].into_iter().flatten().map(String::as_str)
    }

    pub(crate) fn is_of(&self, recipe: &ImageRecipe) -> bool {
        self.kind == recipe.kind && self.platform == recipe.platform
    }

    /// Whether it is a function's.
    pub fn is_function(&self) -> bool {
        matches!(self.kind, ImageKind::Function(_))
    }

    /// Whether the image was built, and not found again.
    pub fn was_built(&self) -> bool {
        self.action == Action::Built
    }

    /// Whether the push changed the registry.
    pub fn was_uploaded(&self) -> bool {
        self.upload.is_some_and(|upload| !upload.unchanged)
    }

    /// What the run did with it.
    pub fn change(&self) -> ImageChange {
        if self.was_built() {
            ImageChange::Built
        } else if self.was_uploaded() {
            ImageChange::Pushed
        } else {
            ImageChange::UpToDate
        }
    }

    /// Reports that all work on it has ended.
    pub(crate) fn report_done(&self, reporter: &dyn Reporter) {
        reporter.event(&Event::Image(ImageDone {
            name: &self.repository,
            role: if self.is_function() { ImageRole::Function } else { ImageRole::Base },
            change: self.change(),
            reason: &self.reason,
            bytes: self.sent(),
            time: self.time,
        }));
    }

    /// The word for it in JSON: `built`, `cached`, `mounted` or `skipped`.
    pub fn action(&self) -> &'static str {
        match (self.action, self.upload) {
            (Action::Built, _) => "built",
            (Action::Cached, Some(upload)) if upload.unchanged => "skipped",
            (Action::Cached, Some(upload)) if upload.bytes == 0 && upload.mounted > 0 => "mounted",
            (Action::Cached, _) => "cached",
        }
    }

    /// The number of bytes that were uploaded.
    pub fn sent(&self) -> u64 {
        self.upload.map_or(0, |upload| upload.bytes)
    }

    /// `repository:tag`.
    pub fn name(&self) -> String {
        format!("{}:{}", self.repository, self.tag)
    }
}
