//! A seal's rules: which files of a bundle must be listed, may be missing, or are left out.

use std::collections::HashMap;
use std::fmt;
use std::rc::Rc;

use crate::order;
use crate::property_list::{Dictionary, Value};

use super::ere::{Automata, EreError, Expression, GaveUp};

/// What the rule that matches a path says of it.
///
/// Source: `ResourceBuilder::addRule`, `resources.cpp` of Apple.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    /// The seal does not look at it.
    pub omit: bool,
    /// It may be missing.
    pub optional: bool,
    /// It is code with a signature of its own; a directory with a dot in its name is one bundle.
    pub nested: bool,
}

/// Why rules cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RulesError {
    /// There are more than a seal may have.
    TooMany,
    /// The named rule has the wrong form.
    Form(String),
    /// The named rule is no regular expression that can be used.
    Expression(String, EreError),
    /// The expressions of all seals of the bundle are too large together.
    TooLarge,
}

impl fmt::Display for RulesError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooMany => f.write_str("too many rules"),
            Self::TooLarge => f.write_str("the rules of all seals are too large together"),
            Self::Form(rule) => write!(f, "the rule '{}' has the wrong form", shorten(rule)),
            Self::Expression(rule, why) => {
                write!(f, "the rule '{}' cannot be evaluated: {why}", shorten(rule))
            }
        }
    }
}

/// A rule for a message.
pub(super) fn shorten(rule: &str) -> String {
    let mut text: String = rule.chars().take(60).collect();
    if text.len() < rule.len() {
        text.push('…');
    }
    text
}

/// The version of a seal's rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// `rules` and `files`, which cover the resources alone.
    One,
    /// `rules2` and `files2`, which cover everything.
    Two,
}

/// Most bytes of the compiled expressions of all seals of a bundle, and most of the expressions:
/// these bound memory, and the work of matching. Apple's own, for bundles with a folder of resources
/// and without, are under two dozen and take less than half of it.
const MAX_COMPILED: usize = 256 << 10;
const MAX_EXPRESSIONS: usize = 256;

/// Compiled expressions, shared by all seals of a bundle: most of them have Apple's own rules.
pub struct Compiled<'a> {
    automata: &'a Automata,
    expressions: HashMap<String, Rc<Expression>>,
    bytes: usize,
}

impl<'a> Compiled<'a> {
    /// None yet.
    pub fn new(automata: &'a Automata) -> Self {
        Self {
            automata,
            expressions: HashMap::new(),
            bytes: 0,
        }
    }

    /// Bytes of all of them, and of what was found by matching.
    pub fn bytes(&self) -> usize {
        let found = self.expressions.values().map(|e| e.found());
        found.fold(self.bytes, usize::saturating_add)
    }

    fn get(&mut self, pattern: &str) -> Result<Rc<Expression>, RulesError> {
        if let Some(expression) = self.expressions.get(pattern) {
            return Ok(Rc::clone(expression));
        }
        if self.expressions.len() >= MAX_EXPRESSIONS || self.bytes >= MAX_COMPILED {
            return Err(RulesError::TooLarge);
        }
        let expression = self
            .automata
            .compile(pattern)
            .map_err(|why| RulesError::Expression(pattern.to_owned(), why))?;
        self.bytes = self.bytes.saturating_add(expression.size());
        let expression = Rc::new(expression);
        self.expressions
            .insert(pattern.to_owned(), Rc::clone(&expression));
        Ok(expression)
    }
}

struct Rule {
    pattern: String,
    expression: Rc<Expression>,
    weight: u32,
    verdict: Verdict,
    /// Whether the rule is just `true`, as Apple demands of the catch-all rule.
    plain: bool,
}

/// The rules of one seal, heaviest first.
pub struct Rules(Vec<Rule>);

impl Rules {
    /// Reads and compiles rules.
    ///
    /// # Errors
    /// When there are more than `most`, or when one of them has the wrong form or cannot be compiled.
    pub fn parse(
        rules: &Dictionary,
        most: usize,
        compiled: &mut Compiled<'_>,
    ) -> Result<Self, RulesError> {
        if rules.len() > most {
            return Err(RulesError::TooMany);
        }
        let mut list = Vec::with_capacity(rules.len());
        for (pattern, value) in rules {
            let pattern = pattern.as_str();
            let (weight, verdict) = read(value).ok_or_else(|| RulesError::Form(pattern.into()))?;
            list.push(Rule {
                pattern: pattern.into(),
                expression: compiled.get(pattern)?,
                weight,
                verdict,
                plain: *value == Value::Boolean(true),
            });
        }
        // Of equal weights Apple takes whichever its hash table gives first; the one that asks
        // for the most is taken here.
        order::sort_by_key(&mut list, |r| {
            (
                std::cmp::Reverse(r.weight),
                r.verdict.omit,
                r.verdict.optional,
            )
        });
        Ok(Self(list))
    }

    /// What the heaviest rule that matches says of a path, relative to what the seal covers;
    /// `None` when no rule matches, and the seal does not look at it.
    ///
    /// # Errors
    /// When a rule costs more to match than any is given.
    pub fn find(&self, path: &[u8]) -> Result<Option<Verdict>, GaveUp> {
        for rule in &self.0 {
            if rule.expression.is_match(path)? {
                return Ok(Some(rule.verdict));
            }
        }
        Ok(None)
    }

    /// Number of rules.
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// What makes the rules weaker than Apple allows: no catch-all rule, or an omission that is
    /// not among Apple's four. `resources` is the folder of resources relative to what the
    /// seal covers, with its slash: `Resources/`, or `""`.
    ///
    /// Source: `SecStaticCode::hasWeakResourceRules`, `StaticCode.cpp`, and
    /// `BundleDiskRep::allowedResourceOmissions`, `bundlediskrep.cpp`.
    pub fn weakness(&self, version: Version, resources: &str) -> Option<String> {
        let catch_all = match version {
            Version::One => "^Resources/",
            Version::Two => "^.*",
        };
        if !self.0.iter().any(|r| r.plain && r.pattern == catch_all) {
            return Some(format!("no rule '{catch_all}' takes in everything"));
        }
        let localized = format!("^{resources}.*\\.lproj/locversion.plist$");
        let allowed = [
            "^(.*/)?\\.DS_Store$",
            "^Info\\.plist$",
            "^PkgInfo$",
            localized.as_str(),
        ];
        self.0
            .iter()
            .find(|r| r.verdict.omit && !allowed.contains(&r.pattern.as_str()))
            .map(|r| format!("the rule '{}' leaves files out", shorten(&r.pattern)))
    }
}

/// A rule's weight and verdict.
fn read(value: &Value) -> Option<(u32, Verdict)> {
    let mut verdict = Verdict::default();
    match value {
        Value::Boolean(keep) => {
            verdict.omit = !keep;
            Some((1, verdict))
        }
        Value::Dictionary(rule) => {
            let mut weight = 1;
            for (key, value) in rule {
                match (key.as_str(), value) {
                    ("weight", value) => weight = number(value)?,
                    ("omit", Value::Boolean(set)) => verdict.omit = *set,
                    ("optional", Value::Boolean(set)) => verdict.optional = *set,
                    ("nested", Value::Boolean(set)) => verdict.nested = *set,
                    ("omit" | "optional" | "nested", _) => return None,
                    // Apple looks at no other key.
                    _ => {}
                }
            }
            Some((weight, verdict))
        }
        _ => None,
    }
}

/// A weight: codesign writes `<real>1000</real>`, other tools integers.
fn number(value: &Value) -> Option<u32> {
    match value {
        Value::Integer(n) => u32::try_from(*n).ok(),
        Value::Real(n) if *n >= 0.0 && *n <= f64::from(u32::MAX) => {
            format!("{:.0}", n.trunc()).parse().ok()
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(list: &[(&str, Value)]) -> Result<Rules, RulesError> {
        let dictionary: Dictionary = list
            .iter()
            .map(|(k, v)| ((*k).to_owned(), v.clone()))
            .collect();
        Rules::parse(&dictionary, 8, &mut Compiled::new(&Automata::default()))
    }

    fn rule(pairs: &[(&str, Value)]) -> Value {
        Value::Dictionary(
            pairs
                .iter()
                .map(|(k, v)| ((*k).to_owned(), v.clone()))
                .collect(),
        )
    }

    #[test]
    fn the_heaviest_rule_wins() {
        let rules = rules(&[
            ("^.*", true.into()),
            (
                "^a",
                rule(&[("weight", 1000.0.into()), ("optional", true.into())]),
            ),
            (
                "^ab",
                rule(&[("weight", 1100.into()), ("omit", true.into())]),
            ),
        ])
        .unwrap();
        assert_eq!(rules.find(b"x"), Ok(Some(Verdict::default())));
        assert_eq!(rules.find(b"ac").unwrap().map(|v| v.optional), Some(true));
        assert_eq!(rules.find(b"ab").unwrap().map(|v| v.omit), Some(true));
    }

    #[test]
    fn of_equal_weights_the_stricter_wins() {
        let omit = rule(&[("weight", 5.into()), ("omit", true.into())]);
        let keep = rule(&[("weight", 5.into())]);
        for list in [
            [("^a", omit.clone()), ("a", keep.clone())],
            [("a", keep), ("^a", omit)],
        ] {
            assert_eq!(
                rules(&list).unwrap().find(b"a"),
                Ok(Some(Verdict::default()))
            );
        }
    }

    #[test]
    fn false_omits() {
        assert_eq!(
            rules(&[("^a", false.into())])
                .unwrap()
                .find(b"a")
                .unwrap()
                .map(|v| v.omit),
            Some(true)
        );
        assert_eq!(rules(&[("^a", false.into())]).unwrap().find(b"b"), Ok(None));
    }

    #[test]
    fn wrong_forms_are_refused() {
        for value in [
            Value::String("yes".into()),
            Value::Integer(1.into()),
            Value::Array(vec![]),
            rule(&[("weight", Value::String("10".into()))]),
            rule(&[("weight", (-1).into())]),
            rule(&[("weight", Value::Real(f64::NAN))]),
            rule(&[("omit", 1.into())]),
        ] {
            assert!(matches!(rules(&[("^a", value)]), Err(RulesError::Form(_))));
        }
        let many: Vec<String> = (0..9).map(|n| format!("^{n}")).collect();
        let many: Vec<(&str, Value)> = many.iter().map(|p| (p.as_str(), true.into())).collect();
        assert!(matches!(rules(&many), Err(RulesError::TooMany)));
    }

    /// `BundleDiskRep::defaultResourceRules` of Apple, for bundles with a folder of resources and
    /// without, of both versions.
    #[test]
    fn apples_own_expressions_stay_far_below_the_bounds() {
        let apples = [
            "^.*",
            "^[^/]+$",
            "^(Frameworks|SharedFrameworks|PlugIns|Plug-ins|XPCServices|Helpers|MacOS|Library/(Automator|Spotlight|LoginItems))/",
            ".*\\.dSYM($|/)",
            "^(.*/)?\\.DS_Store$",
            "^Info\\.plist$",
            "^version\\.plist$",
            "^version.plist$",
            "^embedded\\.provisionprofile$",
            "^PkgInfo$",
            "^Resources/",
            "^Resources/.*\\.lproj/",
            "^Resources/Base\\.lproj/",
            "^Resources/.*\\.lproj/locversion.plist$",
            "^.*\\.lproj/",
            "^Base\\.lproj/",
            "^.*\\.lproj/locversion.plist$",
            "^.*/.*\\.pkg/",
        ];
        let automata = Automata::default();
        let mut compiled = Compiled::new(&automata);
        for pattern in apples {
            let expression = compiled.get(pattern).unwrap();
            for n in 0..20_000_u32 {
                let path = format!("Resources/{n:x}.lproj/a.lproj.dSYM/{:x}\u{e9}", n * 7919);
                expression.is_match(path.as_bytes()).unwrap();
            }
        }
        // An automaton's own count of its bytes leaves out what it stands on.
        assert!(
            (10_000..MAX_COMPILED / 2).contains(&compiled.bytes),
            "{}",
            compiled.bytes
        );
    }

    /// Each seal may bring expressions of its own: together they are bounded too.
    #[test]
    fn expressions_of_all_seals_are_bounded() {
        let automata = Automata::default();
        let mut compiled = Compiled::new(&automata);
        let mut refused = false;
        for seal in 0..100 {
            let rules: Dictionary = (0..8)
                .map(|n| (format!("^(.?){{100}}{seal}-{n}"), Value::Boolean(true)))
                .collect();
            match Rules::parse(&rules, 8, &mut compiled) {
                Ok(_) => assert!(!refused),
                Err(why) => {
                    assert_eq!(why, RulesError::TooLarge);
                    refused = true;
                }
            }
        }
        assert!(refused);
        assert!(compiled.bytes < MAX_COMPILED + (64 << 10) + 4096);
    }

    #[test]
    fn weak_rules_are_named() {
        let omit = || rule(&[("omit", true.into())]);
        let all: (&str, Value) = ("^.*", true.into());
        let weakness =
            |list: &[(&str, Value)]| rules(list).unwrap().weakness(Version::Two, "Resources/");
        assert_eq!(weakness(&[all.clone(), ("^PkgInfo$", omit())]), None);
        assert_eq!(
            weakness(&[
                all.clone(),
                ("^Resources/.*\\.lproj/locversion.plist$", omit())
            ]),
            None
        );
        assert!(weakness(&[all.clone(), ("^.*\\.lproj/locversion.plist$", omit())]).is_some());
        assert!(weakness(&[all.clone(), ("^Resources/x$", omit())]).is_some());
        assert!(weakness(&[all, ("^Resources/x$", false.into())]).is_some());
        assert!(weakness(&[("^.*", rule(&[("weight", 1.into())]))]).is_some());
        assert!(weakness(&[]).is_some());
    }
}
