//! Numbers in JSON that osquery's reader refuses, and the whole file with them.

/// Digits of a whole number, its exponent counted in: rapidjson refuses from some 309 on, even where all are zeros
/// (`0e999`), and what any configuration needs is far below.
pub const MOST_DIGITS: u64 = 300;

/// True when a number in that text, which is JSON, is larger than that.
pub fn has_too_large(json: &str) -> bool {
    let mut chars = json.chars().peekable();
    while let Some(first) = chars.next() {
        if first == '"' {
            while let Some(char) = chars.next().filter(|char| *char != '"') {
                if char == '\\' {
                    chars.next();
                }
            }
        }
        if !first.is_ascii_digit() {
            continue;
        }
        let mut digits: u64 = 1;
        while chars.next_if(char::is_ascii_digit).is_some() {
            digits = digits.saturating_add(1);
        }
        if chars.next_if_eq(&'.').is_some() {
            while chars.next_if(char::is_ascii_digit).is_some() {}
        }
        if chars.next_if(|char| matches!(char, 'e' | 'E')).is_some() {
            let is_small = chars.next_if(|char| matches!(char, '+' | '-')) == Some('-');
            let mut exponent: u64 = 0;
            while let Some(digit) = chars.next_if(char::is_ascii_digit) {
                let digit = digit.to_digit(10).unwrap_or_default();
                exponent = exponent.saturating_mul(10).saturating_add(digit.into());
            }
            if !is_small {
                digits = digits.saturating_add(exponent);
            }
        }
        if digits > MOST_DIGITS {
            return true;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::has_too_large;

    #[test]
    fn numbers_are_seen_wherever_they_stand_and_texts_are_none() {
        let zeros = "0".repeat(300);
        for json in [
            "1e999".to_owned(),
            "[1, {\"a\": -0e301}]".to_owned(),
            "[0.0E+310]".to_owned(),
            "{\"a\\\\\":1e18446744073709551616}".to_owned(),
            format!("-1{zeros}"),
            format!("1{}e9", "0".repeat(292)),
        ] {
            assert!(has_too_large(&json), "{json}");
        }
        for json in [
            "[1e200, true, 1e-999, -0.5]".to_owned(),
            "\"1e999\"".to_owned(),
            "{\"a\\\"1e999\": 0}".to_owned(),
            format!("0.{zeros}1"),
        ] {
            assert!(!has_too_large(&json), "{json}");
        }
    }
}
