//! Events as lines that stay: one for each image that was built or pushed, and for copies and
//! pulls. `-v` adds the parts of an image, what was up to date, decisions and what programs say.

use esb_model::{Activity, Event, ImageChange, ImageDone, ImageRole};

use super::bytes;
use crate::{
    columns::{cut_middle, width},
    escape,
    printer::{Printer, Style},
};

/// The columns of the verb that a line begins with.
const VERB: usize = 10;

/// The fewest columns of a name; where fewer are left, the line goes without its details.
const NAME: usize = 16;

/// The line of an event; on a terminal it is never wider than its columns.
pub(super) fn of(event: &Event<'_>, printer: Printer, columns: Option<usize>) -> Option<String> {
    let is_verbose = printer.verbose > 0;
    match *event {
        Event::Image(image) => self::image(&image, printer, columns),
        Event::Finished { subject, action, detail } => {
            let verb = match action {
                Activity::Sync => "Copied",
                Activity::Pull => "Pulled",
                // These are parts of an image, which has its own line.
                _ if !is_verbose => return None,
                Activity::Install => "Installed",
                Activity::Index => "Read",
                Activity::Load => "Loaded",
                Activity::PullBase => "Pulled",
                Activity::Upload => "Uploaded",
                _ => return None,
            };
            Some(line(verb, Style::Good, subject, detail, printer, columns))
        }
        Event::Output { subject, line } if is_verbose => {
            Some(format!("{}: {}", escape::line(subject), escape::program(line)))
        }
        Event::Decided { subject, decision } if is_verbose => {
            Some(format!("{}: {}", escape::line(subject), escape::line(decision)))
        }
        _ => None,
    }
}

fn image(image: &ImageDone<'_>, printer: Printer, columns: Option<usize>) -> Option<String> {
    let is_verbose = printer.verbose > 0;
    let (verb, style) = match image.change {
        ImageChange::Built => ("Built", Style::Good),
        ImageChange::Pushed => ("Pushed", Style::Good),
        ImageChange::UpToDate if is_verbose => ("Up to date", Style::Faint),
        ImageChange::UpToDate => return None,
    };
    let name = match image.role {
        ImageRole::Base => format!("base {}", image.name),
        ImageRole::Function => image.name.to_owned(),
    };
    let mut details = Vec::new();
    if is_verbose {
        details.push(image.reason.to_owned());
    }
    if image.bytes > 0 {
        details.push(format!("{} sent", bytes(image.bytes)));
    }
    if image.change != ImageChange::UpToDate {
        details.push(format!("{:.1} s", image.time.as_secs_f64()));
    }
    Some(line(verb, style, &name, &details.join(", "), printer, columns))
}

/// A verb, a name and details. A terminal that is too narrow for all gets no details, and the name
/// without its middle.
fn line(
    verb: &str,
    style: Style,
    name: &str,
    detail: &str,
    printer: Printer,
    columns: Option<usize>,
) -> String {
    let (name, detail) = (escape::line(name), escape::line(detail));
    let mut detail = if detail.is_empty() { String::new() } else { format!("  {detail}") };
    let mut name = name.into_owned();
    if let Some(columns) = columns {
        let left = columns.saturating_sub(VERB + 1);
        if left < width(&detail) + width(&name).min(NAME) {
            detail.clear();
        }
        name = cut_middle(&name, left.saturating_sub(width(&detail)));
    }
    let verb = printer.styled_err(&format!("{verb:>VERB$}"), style);
    format!("{verb} {name}{}", printer.styled_err(&detail, Style::Faint))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::printer::ProgressStyle;

    #[test]
    fn an_image_has_one_line_that_fits() {
        let check = |change, role, verbose, columns, expected: Option<&str>| {
            let printer = Printer { verbose, ..Printer::plain(ProgressStyle::Lines) };
            let image = ImageDone {
                name: "esb-order-history-service",
                role,
                change,
                reason: "code changed",
                bytes: 1200,
                time: Duration::from_millis(340),
            };
            let line = of(&Event::Image(image), printer, columns);
            assert_eq!(line.as_deref(), expected);
            assert!(line.is_none_or(|line| columns.is_none_or(|columns| width(&line) <= columns)));
        };
        let (function, base) = (ImageRole::Function, ImageRole::Base);
        let whole = "     Built esb-order-history-service  1.2 kB sent, 0.3 s";
        check(ImageChange::Built, function, 0, None, Some(whole));
        check(ImageChange::Built, function, 0, Some(56), Some(whole));
        let cut = "     Built esb-order-h…ry-service  1.2 kB sent, 0.3 s";
        check(ImageChange::Built, function, 0, Some(53), Some(cut));
        check(ImageChange::Built, function, 0, Some(32), Some("     Built esb-order-…ry-service"));
        let pushed = "    Pushed base esb-order-history-service  1.2 kB sent, 0.3 s";
        check(ImageChange::Pushed, base, 0, None, Some(pushed));
        check(ImageChange::UpToDate, function, 0, None, None);
        let listed = "Up to date esb-order-history-service  code changed, 1.2 kB sent";
        check(ImageChange::UpToDate, function, 1, None, Some(listed));
    }

    #[test]
    fn what_did_not_build_says_nothing() {
        let printer = Printer::plain(ProgressStyle::Lines);
        for action in [Activity::Build, Activity::Push, Activity::Upload] {
            let event = Event::Finished { subject: "esb-a", action, detail: "unchanged" };
            assert_eq!(of(&event, printer, None), None);
        }
        let event = Event::Finished { subject: "r/a:1", action: Activity::Sync, detail: "from b" };
        assert_eq!(of(&event, printer, None).as_deref(), Some("    Copied r/a:1  from b"));
    }
}
