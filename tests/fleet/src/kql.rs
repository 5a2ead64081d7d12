//! The conditions of Elastic's rules, as far as the pack's rules use that language: terms joined by
//! `and`, each `field : value`, `field : *`, `field < number` or one of several values in parentheses,
//! and each negated or not.

use std::fmt;

/// A condition.
#[derive(Clone, Debug, PartialEq)]
pub struct Condition(Vec<Term>);

#[derive(Clone, Debug, PartialEq)]
struct Term {
    not: bool,
    field: String,
    test: Test,
}

#[derive(Clone, Debug, PartialEq)]
enum Test {
    Exists,
    Is(Vec<String>),
    Below(f64),
}

/// What in a condition is not understood.
#[derive(Debug)]
pub struct NotKql(String);

impl fmt::Display for NotKql {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "not understood: {}", self.0)
    }
}

impl std::error::Error for NotKql {}

impl Condition {
    /// Reads a condition.
    ///
    /// # Errors
    /// When it has something that the pack's rules had not when this was written.
    pub fn parse(text: &str) -> Result<Self, NotKql> {
        text.split(" and ")
            .map(term)
            .collect::<Result<_, _>>()
            .map(Self)
    }

    /// True of a document whose fields `get` gives.
    pub fn holds<'a>(&self, get: impl Fn(&str) -> Option<&'a str>) -> bool {
        self.0.iter().all(|term| {
            let value = get(&term.field);
            let holds = match (&term.test, value) {
                (_, None) => false,
                (Test::Exists, Some(_)) => true,
                (Test::Is(values), Some(value)) => values.iter().any(|v| v == value),
                (Test::Below(most), Some(value)) => {
                    value.parse::<f64>().is_ok_and(|value| value < *most)
                }
            };
            holds != term.not
        })
    }

    /// The values that a field must have, when the condition says so.
    pub fn wants(&self, field: &str) -> Option<&[String]> {
        self.0.iter().find_map(|term| match &term.test {
            Test::Is(values) if term.field == field && !term.not => Some(values.as_slice()),
            _ => None,
        })
    }
}

fn term(text: &str) -> Result<Term, NotKql> {
    let fail = || NotKql(text.to_owned());
    let (not, rest) = match text.trim().strip_prefix("not ") {
        Some(rest) => (true, rest),
        None => (false, text.trim()),
    };
    let (field, operator, value) = match rest.split_whitespace().collect::<Vec<_>>().as_slice() {
        [field, operator, value @ ..] if !value.is_empty() => {
            ((*field).to_owned(), *operator, value.join(" "))
        }
        _ => return Err(fail()),
    };
    let test = match (operator, value.as_str()) {
        (":", "*") => Test::Exists,
        (":", _) => Test::Is(values(&value).ok_or_else(fail)?),
        ("<", number) => Test::Below(number.parse().map_err(|_| fail())?),
        _ => return Err(fail()),
    };
    Ok(Term { not, field, test })
}

/// One value, or several in parentheses.
fn values(text: &str) -> Option<Vec<String>> {
    let list = text.strip_prefix('(').and_then(|t| t.strip_suffix(')'));
    let one = |text: &str| {
        let text = text.trim();
        match text.strip_prefix('"') {
            Some(rest) => rest.strip_suffix('"').map(str::to_owned),
            None if text.contains(['(', ')', '*', '"', ' ']) => None,
            None => Some(text.to_owned()),
        }
    };
    list.unwrap_or(text).split(" or ").map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conditions_hold_or_do_not() {
        let get = |field: &str| match field {
            "a" => Some("x"),
            "n" => Some("90"),
            "empty" => Some(""),
            _ => None,
        };
        for (text, holds) in [
            ("a : \"x\"", true),
            ("a : x", true),
            ("not a : \"x\"", false),
            ("a : *", true),
            ("b : *", false),
            ("empty : * and not empty : \"\"", false),
            ("n < 600000", true),
            ("n < 9", false),
            ("a : (\"y\" or \"x\")", true),
            ("a : \"x\" and not b : 0", true),
        ] {
            assert_eq!(Condition::parse(text).unwrap().holds(get), holds, "{text}");
        }
        assert!(Condition::parse("a : x or b : y").is_err());
    }
}
