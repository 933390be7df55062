//! Merges the `defaults` of functions.yml, which both people and `esb` write.
//!
//! What a person wrote stays; what is missing is added; what we added earlier may change or go,
//! as long as nobody changed it since.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    functions::{Defaults, Environment, Scaling},
    value::Fields,
};

pub(crate) struct MergedDefaults {
    pub(crate) defaults: Defaults,
    /// The part that is ours from now on.
    pub(crate) ours: Defaults,
    /// Names of values that are not ours and stay although the run has others.
    pub(crate) kept: Vec<String>,
}

/// Joins the defaults of the file with those of the run; `ours` is what we wrote last time.
pub(crate) fn settle(file: &Defaults, run: &Defaults, ours: &Defaults) -> MergedDefaults {
    let mut kept = Vec::new();
    let mut environment = BTreeMap::new();
    let mut our_environment = BTreeMap::new();
    let maps = [&file.environment.0, &run.environment.0, &ours.environment.0];
    let names: BTreeSet<&String> = maps.iter().flat_map(|map| map.keys()).collect();
    for name in names {
        let [file, run, ours] = maps.map(|map| map.get(name));
        let one = settle_one(file, run, ours);
        environment.extend(one.value.map(|value| (name.clone(), value.clone())));
        our_environment.extend(one.ours.map(|value| (name.clone(), value.clone())));
        if one.kept {
            kept.push(format!("environment.{name}"));
        }
    }
    let mut scaling = Scaling { extra: file.scaling.extra.clone(), ..Scaling::default() };
    let mut our_scaling = Scaling::default();
    macro_rules! settle_scaling {
        ($($field:ident),+) => {$(
            let one = settle_one(
                file.scaling.$field.as_ref(),
                run.scaling.$field.as_ref(),
                ours.scaling.$field.as_ref(),
            );
            scaling.$field = one.value.copied();
            our_scaling.$field = one.ours.copied();
            if one.kept {
                kept.push(format!("scaling.{}", stringify!($field)));
            }
        )+};
    }
    settle_scaling!(max_capacity, min_capacity, idle_timeout, acquire_timeout);
    MergedDefaults {
        defaults: Defaults {
            environment: Environment(environment),
            scaling,
            extra: file.extra.clone(),
        },
        ours: Defaults {
            environment: Environment(our_environment),
            scaling: our_scaling,
            extra: Fields::new(),
        },
        kept,
    }
}

struct One<'a, T> {
    value: Option<&'a T>,
    ours: Option<&'a T>,
    kept: bool,
}

fn settle_one<'a, T: PartialEq>(
    file: Option<&'a T>,
    run: Option<&'a T>,
    ours: Option<&'a T>,
) -> One<'a, T> {
    if file.is_none() || file == ours {
        One { value: run, ours: run, kept: false }
    } else {
        One { value: file, ours: None, kept: run.is_some() && run != file }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_win_and_our_own_values_follow() {
        // file, run, ours -> value, ours, kept
        for (case, expected) in [
            ([None, Some(1), None], (Some(1), Some(1), false)), // added
            ([Some(2), Some(1), None], (Some(2), None, true)),  // hand-written
            ([Some(1), Some(1), None], (Some(1), None, false)), // hand-written, the same
            ([Some(1), Some(3), Some(1)], (Some(3), Some(3), false)), // ours follows
            ([Some(2), Some(3), Some(1)], (Some(2), None, true)), // changed by hand
            ([Some(1), None, Some(1)], (None, None, false)),    // ours goes
            ([Some(2), None, None], (Some(2), None, false)),    // hand-written alone
            ([None, Some(1), Some(1)], (Some(1), Some(1), false)), // removed by hand: needed
        ] {
            let [file, run, ours] = &case;
            let one = settle_one(file.as_ref(), run.as_ref(), ours.as_ref());
            let got = (one.value.copied(), one.ours.copied(), one.kept);
            assert_eq!(got, expected, "{case:?}");
        }
    }
}
