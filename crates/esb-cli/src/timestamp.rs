//! The time of the clock, as programs read it.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The time now in UTC, as in `2026-01-31T12:00:00.250Z` (RFC 3339).
pub(crate) fn now() -> String {
    of(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default())
}

/// The day in UTC of a time since 1970 in seconds, as in `2026-01-31`.
pub(crate) fn day(seconds: u64) -> String {
    let (year, month, day) = date(seconds / 86_400);
    format!("{year:04}-{month:02}-{day:02}")
}

fn of(since_epoch: Duration) -> String {
    let seconds = since_epoch.as_secs();
    let day = day(seconds);
    let (hour, minute, second) = (seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
    let millis = since_epoch.subsec_millis();
    format!("{day}T{hour:02}:{minute:02}:{second:02}.{millis:03}Z")
}

/// The date of a day since 1970, by the Gregorian calendar.
fn date(days: u64) -> (u64, u64, u64) {
    // Counted from 1 March of the year 0: a leap day is the last of its year, and four hundred
    // years are always as long.
    let days = days + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let (year, month) = match month {
        0..10 => (era * 400 + year_of_era, month + 3),
        _ => (era * 400 + year_of_era + 1, month - 9),
    };
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_those_of_date() {
        let check = |millis, expected: &str| {
            assert_eq!(of(Duration::from_millis(millis)), expected);
        };
        check(0, "1970-01-01T00:00:00.000Z");
        check(951_782_399_999, "2000-02-28T23:59:59.999Z");
        check(951_782_400_001, "2000-02-29T00:00:00.001Z");
        check(951_868_800_000, "2000-03-01T00:00:00.000Z");
        check(1_709_251_199_000, "2024-02-29T23:59:59.000Z");
        check(1_735_689_599_500, "2024-12-31T23:59:59.500Z");
        check(4_107_542_400_000, "2100-03-01T00:00:00.000Z");
    }
}
