//! Resolves names of users and groups by `/etc/passwd` and `/etc/group` of an image.
//!
//! Owns the form of `/etc/passwd` and `/etc/group` as far as `--chown` and `WORKDIR` need it.
//! Refuses names that are not in them: engines of different age make something else of those.

use super::node::CopyError;
use crate::dockerfile::values::{Id, Owner};

/// Where users are listed.
pub(crate) const USERS: &str = "etc/passwd";
/// Where groups are listed.
pub(crate) const GROUPS: &str = "etc/group";
/// The largest such file that is read, in bytes.
pub(crate) const MAX_BYTES: u64 = 1024 * 1024;

/// The numbers of an owner in a file system; `text` gives what a file of it holds.
pub(crate) fn resolve(
    owner: &Owner,
    text: impl Fn(&str) -> Result<Option<String>, CopyError>,
) -> Result<(u64, u64), CopyError> {
    let (user, own_group) = match &owner.user {
        Id::Number(user) => (*user, *user),
        Id::Name(name) => {
            let fields = find(&text, USERS, "user", name)?;
            (number(&fields, 2, name)?, number(&fields, 3, name)?)
        }
    };
    let group = match &owner.group {
        None => own_group,
        Some(Id::Number(group)) => *group,
        Some(Id::Name(name)) => number(&find(&text, GROUPS, "group", name)?, 2, name)?,
    };
    Ok((user, group))
}

/// The fields of the first line for a name.
fn find(
    text: impl Fn(&str) -> Result<Option<String>, CopyError>,
    file: &str,
    what: &str,
    name: &str,
) -> Result<Vec<String>, CopyError> {
    let shown = name.escape_debug();
    let text = text(file)?.ok_or_else(|| {
        CopyError::Unsupported(format!("the {what} `{shown}`, for `/{file}` cannot be read"))
    })?;
    let mut lines = text.lines().map(|line| line.trim().split(':'));
    let line = lines.find(|fields| fields.clone().next() == Some(name)).ok_or_else(|| {
        CopyError::Unsupported(format!("the {what} `{shown}`, which is not in `/{file}`"))
    })?;
    Ok(line.map(str::to_owned).collect())
}

fn number(fields: &[String], position: usize, name: &str) -> Result<u64, CopyError> {
    let number = fields.get(position).and_then(|field| field.parse::<u32>().ok());
    number.map(u64::from).ok_or_else(|| {
        let name = name.escape_debug();
        CopyError::Unsupported(format!("the account `{name}`, whose line is malformed"))
    })
}
