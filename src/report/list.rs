//! The plug-ins, for a person to read.

use std::fmt::Write;

use clap::ValueEnum;

use super::time::rfc3339;
use crate::bundle::Bundle;
use crate::codesign::SignatureState;
use crate::failure::Failure;
use crate::order;
use crate::property_list::Text;
use crate::scan::Snapshot;
use crate::text::{escape, hex};

/// Bytes of a text that are told; `dsplug query` has all of it.
const MOST_TEXT: usize = 512;

/// How the list is printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For a person
    #[default]
    Text,
    /// An array of objects of strings, one for each bundle
    Json,
}

/// The query whose answer is the list for a program.
pub const ALL: &str = "SELECT * FROM dsplug_bundles ORDER BY path";

/// Whether words stand out in colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// For files and pipes.
    Plain,
    /// For terminals: ANSI colours.
    Colour,
}

/// How much a word is to worry the reader.
#[derive(Clone, Copy)]
enum Tone {
    Title,
    Good,
    Doubtful,
    Bad,
}

impl Style {
    fn paint(self, tone: Tone, text: &str) -> String {
        let code = match tone {
            Tone::Title => "1",
            Tone::Good => "32",
            Tone::Doubtful => "33",
            Tone::Bad => "31",
        };
        match self {
            Self::Plain => text.to_owned(),
            Self::Colour => format!("\x1b[{code}m{text}\x1b[0m"),
        }
    }
}

/// The list as text.
///
/// # Errors
/// When a plug-in folder is there and cannot be listed.
pub fn render(snapshot: &Snapshot, style: Style) -> Result<String, Failure> {
    if let Some(why) = snapshot.unreadable() {
        return Err(Failure::new(why));
    }
    let mut out = String::new();
    for bundle in &snapshot.bundles {
        one(&mut out, bundle, style);
        out.push('\n');
    }
    for folder in &snapshot.folders {
        let state = match (folder.exists, &folder.error) {
            (false, _) => "does not exist".to_owned(),
            (true, None) => plural(folder.candidates, "plug-in"),
            (true, Some(error)) => format!("{}, {error}", plural(folder.candidates, "plug-in")),
        };
        // Writing to a String cannot fail.
        let _ = write!(out, "{}: {state}", folder.path);
        if !folder.anomalies.is_empty() {
            let words = folder.words(", ");
            let _ = write!(out, "; unusual: {}", style.paint(Tone::Doubtful, &words));
        }
        out.push('\n');
    }
    Ok(out)
}

fn one(out: &mut String, bundle: &Bundle, style: Style) {
    let evidence = &bundle.evidence;
    let info = evidence
        .info_plist
        .as_ref()
        .and_then(|p| p.info.as_ref().ok());
    let mut lines: Vec<(&str, String)> = Vec::new();
    if let Some(target) = &evidence.symlink_target {
        lines.push(("symlink", format!("to {}", escape(target))));
    }
    if let Some(info) = info {
        let shown = |text: &Text| text.cut(MOST_TEXT).shown();
        let identifier = shown(&info.identifier);
        let named = format!("{} {}", shown(&info.plugin_name), shown(&info.version));
        let named = named.trim();
        lines.push((
            "claims",
            [identifier.as_str(), named].join("  ").trim().to_owned(),
        ));
    }
    lines.push(("signature", signature(bundle, style)));
    lines.push(("loads", loads(bundle, style)));
    if let Some(executable) = &evidence.executable {
        let code = executable.content(evidence).code();
        let architectures = code.map_or_else(String::new, |c| format!("  {}", c.architectures()));
        let mut text = format!("{}{architectures}", escape(&executable.path));
        if executable.is_outside() {
            text = format!("{text}  {}", style.paint(Tone::Bad, "outside the bundle"));
        }
        lines.push(("runs", text));
    }
    let mut holds = plural(evidence.files().count(), "file");
    let _ = write!(holds, ", {} bytes", evidence.bytes());
    if bundle.signature.state.holds() && bundle.signature.unsealed_files > 0 {
        let text = format!("{} outside the seal", bundle.signature.unsealed_files);
        let _ = write!(holds, ", {}", style.paint(Tone::Doubtful, &text));
    }
    lines.push(("holds", holds));
    if let Some(digest) = &bundle.digest {
        lines.push(("hash", hex(digest)));
    }
    if let Some((time, path)) = evidence.newest_mtime() {
        lines.push((
            "changed",
            format!("{}  {}", rfc3339(time.seconds), escape(&path)),
        ));
    }
    if let Some(meta) = &evidence.meta {
        let owner = format!(
            "uid {} gid {} mode {}",
            meta.uid,
            meta.gid,
            meta.octal_mode()
        );
        let tone = if evidence.writable_by.as_str() == "root" {
            Tone::Good
        } else {
            Tone::Doubtful
        };
        let writers = style.paint(tone, evidence.writable_by.as_str());
        lines.push(("owner", format!("{owner}, writable by {writers}")));
    }
    if !evidence.attributes.quarantine.is_empty() {
        lines.push(("origin", evidence.attributes.quarantine.clone()));
    }
    if let Some(exception) = &bundle.exception {
        lines.push(("exception", escape(exception.as_bytes())));
    }
    for trouble in evidence.troubles.iter().take(3) {
        lines.push(("error", style.paint(Tone::Bad, &trouble.to_string())));
    }
    if evidence.troubles.len() > 3 {
        lines.push((
            "error",
            format!("and {} more", evidence.troubles.len().saturating_sub(3)),
        ));
    }
    let title = style.paint(Tone::Title, &escape(&evidence.candidate.path));
    let _ = writeln!(out, "{title}");
    for (label, text) in lines {
        let _ = writeln!(out, "  {label:<9} {text}");
    }
}

fn signature(bundle: &Bundle, style: Style) -> String {
    let signature = &bundle.signature;
    let state = signature.state.as_str();
    match signature.state {
        SignatureState::Signed => {
            let signer = escape(signature.signer.as_bytes());
            let text = format!("{state} by {signer} ({})", signature.anchor);
            style.paint(Tone::Good, &text)
        }
        SignatureState::Adhoc => {
            let text = format!(
                "{state}: {} names no signer",
                escape(signature.signing_identifier.as_bytes())
            );
            style.paint(Tone::Doubtful, &text)
        }
        SignatureState::Unsigned => style.paint(Tone::Doubtful, state),
        _ => {
            let mut codes: Vec<&str> = signature.problems.iter().map(|p| p.code.as_str()).collect();
            order::sort(&mut codes);
            codes.dedup();
            let mut text = format!("{state}: {}", codes.join(", "));
            if !signature.claimed_signer.is_empty() {
                let _ = write!(
                    text,
                    "; claims {}",
                    escape(signature.claimed_signer.as_bytes())
                );
            }
            style.paint(Tone::Bad, &text)
        }
    }
}

fn loads(bundle: &Bundle, style: Style) -> String {
    match bundle.load.as_str() {
        "loadable" => style.paint(Tone::Bad, "loadable"),
        verdict => format!("{verdict}: {}", bundle.load.words().replace(';', ", ")),
    }
}

fn plural(count: usize, noun: &str) -> String {
    if count == 1 {
        format!("1 {noun}")
    } else {
        format!("{count} {noun}s")
    }
}
