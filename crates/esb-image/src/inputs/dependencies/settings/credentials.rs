//! uv's variables for the credentials of a named index, as pip reads them: in its address.

use super::PipSettings;
use crate::inputs::dependencies::entry;

impl PipSettings<'_> {
    /// An index that may be `name=address`, as an address with the user and password of the name.
    pub(super) fn index_address(&self, index: &str) -> String {
        match index.split_once('=') {
            Some((name, address)) if !name.contains("://") => self.signed(name, address),
            _ => index.to_owned(),
        }
    }

    /// An address with the credentials of the index of that name, unless it has its own.
    pub(crate) fn signed(&self, name: &str, address: &str) -> String {
        let upper = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' };
        let variable = format!("UV_INDEX_{}", name.chars().map(upper).collect::<String>());
        let part = |end: &str| self.variable(&format!("{variable}_{end}")).map(encoded);
        let (user, password) = (part("USERNAME"), part("PASSWORD"));
        let has_own = entry::without_user(address) != address;
        let Some((scheme, rest)) = address.split_once("://") else { return address.to_owned() };
        if has_own || user.is_none() && password.is_none() {
            return address.to_owned();
        }
        let password = password.map(|password| format!(":{password}")).unwrap_or_default();
        format!("{scheme}://{}{password}@{rest}", user.unwrap_or_default())
    }
}

/// A user's name or password as an address has it.
pub(super) fn encoded(text: &str) -> String {
    entry::escaped(text).replace('/', "%2F").replace('+', "%2B")
}
