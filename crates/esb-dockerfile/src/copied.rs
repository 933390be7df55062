//! How the folders of code and layers are copied: what is excluded, and findings for links and
//! names that cannot be copied.

use std::path::{Path, PathBuf};

use esb_model::{ContentSource, Finding, FollowLinks, ImageContent, Severity, Span};
use esb_oci::{LinkFault, LinkReason, WHITEOUT};

use crate::{
    RecipeSettings, codes,
    content::{CopySource, LocatedCode, plain},
    finding::unusable_path,
    ignore::{Exclusions, left_out},
    project::{CopyRules, Project},
};

/// The inputs that are shared while the parts of an image are located.
pub(crate) struct SourceContext<'a> {
    pub(crate) settings: &'a RecipeSettings<'a>,
    pub(crate) project: &'a dyn Project,
    pub(crate) exclusions: &'a Exclusions,
}

/// The way in which a folder is copied.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct CopyMode {
    /// What the user leaves out of the folder, relative to it.
    pub(crate) left_out: Vec<String>,
    /// Links in it stand for something outside of it, which only a copy of ours has.
    pub(crate) links_lead_out: bool,
    pub(crate) follow: FollowLinks,
}

impl SourceContext<'_> {
    /// Makes the source of a `COPY` for located code, staged in `target` when needed; `None` when
    /// findings say why.
    pub(crate) fn content(
        &self,
        found: &LocatedCode,
        target: &Path,
        (what, span): (&str, Span),
        findings: &mut Vec<Finding>,
    ) -> Option<CopySource> {
        let mut manner = CopyMode { follow: self.settings.follow_links, ..CopyMode::default() };
        let unreadable = |cause: std::io::Error| {
            let message = format!("could not read what the {what} leaves out: {cause}");
            Finding::new(Severity::Error, codes::UNREADABLE, span, message)
        };
        match left_out(self.project, found).and_then(|left_out| {
            manner.left_out = left_out;
            self.links(found, &manner)
        }) {
            Ok(links) => {
                manner.links_lead_out = links.lead_out;
                for (link, path) in &links.of_this_machine {
                    findings.push(of_this_machine(link, path, span));
                }
                let mut wrong: Vec<Finding> =
                    links.faults.iter().map(|fault| self::wrong(fault, what, span)).collect();
                wrong.extend(whiteouts(found, &links.whiteouts, what, span));
                if !wrong.is_empty() {
                    findings.extend(wrong);
                    return None;
                }
            }
            Err(cause) => {
                findings.push(unreadable(cause));
                return None;
            }
        }
        if let LocatedCode::Archive { path, names } = found {
            findings.extend(backslashes(path, names, what, span));
        }
        match CopySource::new(found, manner, target, self.exclusions) {
            Ok(content) => Some(content),
            Err(path) => {
                findings.push(unusable_path(&path, what, span));
                None
            }
        }
    }

    /// Describes what the image gets of located code, for those who look into it.
    pub(crate) fn image_content(
        &self,
        found: &LocatedCode,
        content: &CopySource,
        folder: &str,
    ) -> ImageContent {
        let source = match found {
            LocatedCode::Folder(path) => ContentSource::Folder {
                path: path.clone(),
                exclude: self.exclusions.patterns(path, content.left_out()),
            },
            LocatedCode::File(path) => ContentSource::File(path.clone()),
            LocatedCode::Archive { path, .. } => ContentSource::Archive(path.clone()),
            LocatedCode::Inline { text, file_name } => {
                ContentSource::Text { file_name: file_name.clone(), text: text.clone() }
            }
        };
        ImageContent { source, folder: folder.trim_end_matches('/').to_owned() }
    }

    fn links(
        &self,
        found: &LocatedCode,
        manner: &CopyMode,
    ) -> std::io::Result<esb_oci::CopiedLinks> {
        let LocatedCode::Folder(folder) = found else { return Ok(esb_oci::CopiedLinks::default()) };
        let rules = CopyRules {
            exclude: self.exclusions.patterns(folder, &manner.left_out),
            follow: manner.follow,
            generated: self.settings.brand.folder_name(),
        };
        self.project.links(folder, &rules)
    }
}

fn wrong(fault: &LinkFault, what: &str, span: Span) -> Finding {
    let code = match fault.reason {
        LinkReason::Outside => codes::LINK_OUTSIDE,
        _ => codes::UNUSABLE_LINK,
    };
    let message = format!("the {what} cannot be copied: {fault}");
    Finding::new(Severity::Error, code, span, message).help(fault.hint())
}

fn of_this_machine(link: &Path, path: &Path, span: Span) -> Finding {
    let shown = |path: &Path| plain(path).escape_debug().to_string();
    let message = format!(
        "the symbolic link `{}` leads to `{}` on this machine, and stays as it is: an absolute \
         link means a path of the image",
        shown(link),
        shown(path)
    );
    Finding::new(Severity::Warning, codes::ABSOLUTE_LINK, span, message)
        .help("make it a relative link: what that leads to is copied")
}

/// Names that would be no files in an image: unpacking it deletes what they name.
fn whiteouts(found: &LocatedCode, in_folder: &[PathBuf], what: &str, span: Span) -> Vec<Finding> {
    const MOST: usize = 20;
    let is_whiteout =
        |name: &&str| name.split('/').any(|part| part.starts_with(WHITEOUT)) && !name.is_empty();
    let (names, help) = match found {
        LocatedCode::Folder(_) => (
            in_folder.iter().map(|path| plain(path)).collect::<Vec<_>>(),
            "rename it, or leave it out with a `.samignore`",
        ),
        LocatedCode::File(path) => {
            let name = path.file_name().and_then(|name| name.to_str()).filter(is_whiteout);
            (name.into_iter().map(|_| plain(path)).collect(), "rename it")
        }
        LocatedCode::Inline { file_name, .. } => {
            let name = Some(file_name.as_str()).filter(is_whiteout);
            (name.into_iter().map(str::to_owned).collect(), "name the handler's module otherwise")
        }
        LocatedCode::Archive { names, .. } => (
            names.iter().map(String::as_str).filter(is_whiteout).map(str::to_owned).collect(),
            "make the archive without it, or with another name for it",
        ),
    };
    let finding = |name: &String| {
        let message = format!(
            "the {what} holds `{}`: in an image a name that begins with `{WHITEOUT}` is no file, but \
             deletes one",
            name.escape_debug()
        );
        Finding::new(Severity::Error, codes::WHITEOUT_NAME, span, message).help(help)
    };
    names.iter().take(MOST).map(finding).collect()
}

/// Windows tools that put `\\` between the parts of a path: no program on Linux takes it for that.
fn backslashes(archive: &Path, names: &[String], what: &str, span: Span) -> Option<Finding> {
    let mut odd = names.iter().filter(|name| name.contains('\\'));
    let first = odd.next()?;
    let more = match odd.count() {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let message = format!(
        "the {what}, `{}`, has names with a backslash (`{}`{more}): in Lambda as in the image it \
         is a character of a file's name and parts no folders",
        plain(archive),
        // Its own escape would double the backslashes.
        first.replace(|c: char| c.is_control(), "\u{fffd}"),
    );
    Some(
        Finding::new(Severity::Warning, codes::BACKSLASH_NAME, span, message)
            .help("make the archive with a tool that writes `/`, such as `zip -r`"),
    )
}
