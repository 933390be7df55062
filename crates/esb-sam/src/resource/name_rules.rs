//! Which names AWS accepts for functions, tables and buckets.

/// What names of a resource type are like, when a name is not.
pub(super) fn broken(kind: &str, name: &str) -> Option<&'static str> {
    let (is_right, words) = match kind {
        "AWS::Serverless::Function" | "AWS::Lambda::Function" => {
            (is_function(name), "a function's name has 1 to 64 letters, digits, `-` and `_`")
        }
        "AWS::Serverless::SimpleTable" | "AWS::DynamoDB::Table" | "AWS::DynamoDB::GlobalTable" => {
            (is_table(name), "a table's name has 3 to 255 letters, digits, `-`, `_` and `.`")
        }
        "AWS::S3::Bucket" => (
            is_bucket(name),
            "a bucket's name has 3 to 63 small letters, digits, `-` and single `.`, begins and ends \
             with a letter or a digit, and is no IP address",
        ),
        _ => return None,
    };
    (!is_right).then_some(words)
}

/// A name, or an ARN, whole or from the account on, with a name in it.
fn is_function(name: &str) -> bool {
    let is_name = |name: &str| {
        (1..=64).contains(&name.len())
            && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
    };
    let is_account = |text: &str| text.len() == 12 && text.bytes().all(|b| b.is_ascii_digit());
    let is_qualifier = |text: &str| text == "$LATEST" || is_name(text);
    let parts: Vec<&str> = name.split(':').collect();
    let rest = match parts.as_slice() {
        ["arn", partition, "lambda", region, rest @ ..]
            if partition.starts_with("aws") && !region.is_empty() =>
        {
            rest
        }
        rest => rest,
    };
    match rest {
        [name] => parts.len() == 1 && is_name(name),
        [account, "function", name] => is_account(account) && is_name(name),
        [account, "function", name, qualifier] => {
            is_account(account) && is_name(name) && is_qualifier(qualifier)
        }
        _ => false,
    }
}

fn is_table(name: &str) -> bool {
    let is_letter = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
    (3..=255).contains(&name.len()) && name.bytes().all(is_letter)
}

fn is_bucket(name: &str) -> bool {
    let is_end = |b: &u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let bytes = name.as_bytes();
    let is_address =
        name.split('.').count() == 4 && name.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    (3..=63).contains(&name.len())
        && bytes.first().is_some_and(is_end)
        && bytes.last().is_some_and(is_end)
        && bytes.iter().all(|b| is_end(b) || matches!(b, b'-' | b'.'))
        && !name.contains("..")
        && !is_address
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_functions() {
        let longest = "x".repeat(64);
        for name in [
            "a",
            "a-B_9",
            &longest,
            "arn:aws:lambda:eu-west-1:123456789012:function:a",
            "arn:aws-us-gov:lambda:us-gov-west-1:123456789012:function:a:$LATEST",
            "123456789012:function:a",
        ] {
            assert!(is_function(name), "{name}");
        }
        let long = "x".repeat(65);
        for name in ["", "a b", "a.b", "a/b", "ä", &long, "a:b", "arn:aws:s3:::a", "1:function:a"]
        {
            assert!(!is_function(name), "{name}");
        }
    }

    #[test]
    fn names_of_tables_and_buckets() {
        for name in ["abc", "A.b-c_1"] {
            assert!(is_table(name), "{name}");
        }
        for name in ["ab", "a b", "a/b", &"x".repeat(256)] {
            assert!(!is_table(name), "{name}");
        }
        for name in ["abc", "a.b-c", "1-2"] {
            assert!(is_bucket(name), "{name}");
        }
        for name in ["ab", "Abc", "a_b", "-ab", "ab.", "a..b", "10.0.0.1", &"x".repeat(64)] {
            assert!(!is_bucket(name), "{name}");
        }
    }
}
