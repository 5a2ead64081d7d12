//! Whether the system would load a candidate: the loader's own conditions, in its order.
//!
//! Read in DirectoryService's sources and CoreFoundation's, not run on a Mac. The loader checks
//! neither signature nor owner nor mode, and neither does this verdict.

use std::collections::BTreeSet;

use crate::codesign::CodeFacts;
use crate::evidence::{Cpus, Evidence, Given, Info, Trouble};
use crate::folders::Listed;
use crate::meta::Kind;
use crate::name::Suffix;
use crate::order;

/// Declares each reason once: its variant, its word, whether it settles the matter, its meaning.
macro_rules! reasons {
    ($($variant:ident $word:literal $settles:literal $meaning:literal)*) => {
        /// Why a candidate does not load, or why that is not known.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Reason {
            $(#[doc = $meaning] $variant,)*
        }

        impl Reason {
            /// Every reason, in the loader's order.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The word for it, as the tables show it.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word,)* }
            }

            /// What it means, in one sentence.
            pub fn meaning(self) -> &'static str {
                match self { $(Self::$variant => $meaning,)* }
            }

            /// True of what the loader asks of a bundle that it has opened, whose factories are registered by then
            /// (`CServerPlugin::ProcessURL`, `_CFBundleInitPlugIn` of CFPlugIn.c).
            fn is_of_open(self) -> bool {
                matches!(
                    self,
                    Self::NoTypes | Self::NoVersion | Self::NoPluginName | Self::NoModuleFactory
                )
            }

            /// True when it keeps the candidate from loading; false when it leaves that unknown.
            fn settles(self) -> bool {
                match self { $(Self::$variant => $settles,)* }
            }
        }
    };
}

reasons! {
    Name "name" true "Its name does not end in exactly `.dsplug`, so it does not load as named."
    NotListed "not_listed" true "It stands where the loader does not look, given what else the folder holds."
    MaybeListed "maybe_listed" false "Whether the loader looks where it stands could not be told, or it is listed by another path that leads there."
    Language "language" false "It stands in a `.lproj` that is read only for users of that language."
    BrokenSymlink "broken_symlink" true "It is a symlink that leads nowhere."
    Unreadable "unreadable" false "It, its Info.plist or its executable could not be read, or not within the limits."
    NotABundle "not_a_bundle" true "It is no directory, nor a link to one."
    NoInfoPlist "no_info_plist" true "It has no Info.plist where CoreFoundation looks for one."
    MalformedInfoPlist "malformed_info_plist" true "Its Info.plist is not a property list with a dictionary."
    OverriddenTwice "overridden_twice" false "In its Info.plist a key that overrides another is overridden itself; which of them counts is not known."
    NoExecutable "no_executable" true "Its main executable is not there, or is no regular file."
    NotMachO "not_mach_o" true "Its main executable is not a Mach-O file."
    No64BitSlice "no_64bit_slice" true "Its main executable has no 64-bit slice."
    OddMachO "odd_mach_o" false "Of its main executable the loader's lenient look at the head and the Mach-O headers themselves tell different things."
    NoTypes "no_plugin_types" true "Its Info.plist has no CFPlugInTypes."
    NoFactories "no_plugin_factories" true "Its Info.plist has no CFPlugInFactories."
    NoVersion "no_version" true "Its Info.plist has no CFBundleShortVersionString."
    NoPluginName "no_plugin_name" true "Its Info.plist has no CFPluginNameString."
    OddType "odd_type" false "Its version, its plug-in name, its configuration or its executable's name is there and is no text that the loader can use; it asks only whether it is there."
    NameShadowed "name_shadowed" false "Another plug-in has the same CFPluginNameString; which of them loads the order of the disk decides."
    FactoryTaken "factory_taken" false "Another bundle declares a factory of the same UUID, or may, or it declares more than are told apart; whose code runs by that the order of the disk decides."
    DynamicRegistration "dynamic_registration" false "It registers its factories by code, which is not run here."
    MaybeModuleFactory "maybe_module_factory" false "Whether a factory of it is registered for the module type hangs on another bundle that may name it, on identifiers that are no text, or, beside the factory of Apple's template, on which macOS it is."
    NoModuleFactory "no_module_factory" true "It registers no factory for the module type of DirectoryService plug-ins."
}

/// Whether the system would load a candidate.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LoadVerdict {
    /// Why not, or why it is not known, in the loader's order; empty when it would.
    pub reasons: Vec<Reason>,
}

impl LoadVerdict {
    /// The verdict in a word: `loadable`, `not_loadable`, `unknown`.
    pub fn as_str(&self) -> &'static str {
        // The factories of what is refused stay registered. Before macOS 12, as read, the last one of a UUID has the place of
        // those before it (`_CFPFactoryAddToTableLocked` of CFPlugIn.c, until `_searchForExistingFactoryLocked` came), and
        // `CFPlugInInstanceCreate` asks for the UUID alone: then its code runs for another.
        let runs_for_another = self.reasons.contains(&Reason::FactoryTaken);
        let settles = |r: &Reason| r.settles() && !(runs_for_another && r.is_of_open());
        if self.reasons.is_empty() {
            "loadable"
        } else if self.reasons.iter().any(settles) {
            "not_loadable"
        } else {
            "unknown"
        }
    }

    /// Takes in one more reason.
    fn add(&mut self, reason: Reason) {
        if !self.reasons.contains(&reason) {
            self.reasons.push(reason);
            order::sort(&mut self.reasons);
        }
    }

    /// The reasons' words, separated by `;`.
    pub fn words(&self) -> String {
        let words: Vec<&str> = self.reasons.iter().map(|r| r.as_str()).collect();
        words.join(";")
    }
}

/// Judges all candidates; the verdicts stand in the order of `evidence`.
pub fn judge(evidence: &[Box<Evidence>]) -> Vec<LoadVerdict> {
    let mut verdicts: Vec<LoadVerdict> = evidence.iter().map(|one| judge_alone(one)).collect();
    let mut names = Vec::new();
    // Once, and not by doubling: they may be many.
    let most = evidence.iter().filter_map(|one| info(one));
    let most = most.map(|info| info.factories.len()).sum();
    let mut factories = Vec::with_capacity(most);
    for (index, (one, verdict)) in evidence.iter().zip(&verdicts).enumerate() {
        let Some(info) = info(one) else { continue };
        // What surely does not come as far takes nothing from another. A factory is taken when the
        // bundle is opened, before anything else of it is asked for.
        let comes_to = |what: Reason| verdict.reasons.iter().all(|r| *r > what || !r.settles());
        let folder = one.candidate.folder;
        if comes_to(Reason::NameShadowed) && info.has_plugin_name == Given::Text {
            names.push(((folder, &info.plugin_name_digest), index));
        }
        if comes_to(Reason::NoInfoPlist) {
            factories.extend(info.factories.iter().map(|f| ((folder, f), index)));
        }
    }
    allow_for_other_bundles(evidence, &mut verdicts);
    // Where each of them is refused, nobody asks for what they declare.
    let is_kept = |index: usize| {
        let verdict = verdicts.get(index);
        verdict.is_some_and(|v| !v.reasons.iter().any(|r| r.settles()))
    };
    let shadowed = rivals(names, |_| true).map(|i| (i, Reason::NameShadowed));
    let taken = rivals(factories, is_kept).map(|i| (i, Reason::FactoryTaken));
    let found: Vec<(usize, Reason)> = shadowed.chain(taken).collect();
    for (index, reason) in found {
        if let Some(verdict) = verdicts.get_mut(index) {
            verdict.add(reason);
        }
    }
    allow_for_other_paths(evidence, &mut verdicts);
    verdicts
}

/// Those of the bundles that hold a thing which another one holds as well, where one of them counts; a thing is held once
/// by each, however often it is named.
fn rivals<T: Ord>(
    mut held: Vec<(T, usize)>,
    counts: impl Fn(usize) -> bool,
) -> impl Iterator<Item = usize> {
    held.sort_unstable();
    held.dedup();
    let shared = held.chunk_by(|a, b| a.0 == b.0);
    let shared = shared.filter(|all| all.len() > 1 && all.iter().any(|(_, i)| counts(*i)));
    let rivals: BTreeSet<usize> = order::gather(shared.flatten().map(|(_, index)| *index));
    rivals.into_iter()
}

/// What the loader does not list where it stands may be loaded by another path that leads there: of the
/// place alone it is not proved that nothing there loads.
fn allow_for_other_paths(evidence: &[Box<Evidence>], verdicts: &mut [LoadVerdict]) {
    let listed = evidence
        .iter()
        .filter(|e| e.candidate.listed != Listed::No && e.is_bundle());
    let places: BTreeSet<&[u8]> = order::gather(listed.map(|e| e.resolved_path.as_slice()));
    // A link of which the end is not known may lead to any.
    let may_be_any = evidence.iter().any(|e| {
        let is_unknown = leads_anywhere(e) || e.kind() == Kind::Symlink && e.is_served();
        is_unknown && e.candidate.listed != Listed::No
    });
    // Nor that it runs for nobody.
    let taken = evidence.iter().zip(verdicts.iter());
    let taken = taken.filter(|(_, verdict)| verdict.reasons.contains(&Reason::FactoryTaken));
    let taken: BTreeSet<&[u8]> = order::gather(taken.map(|(e, _)| e.resolved_path.as_slice()));
    for (one, verdict) in evidence.iter().zip(verdicts) {
        if !may_be_any && !places.contains(one.resolved_path.as_slice()) {
            continue;
        }
        for reason in &mut verdict.reasons {
            if *reason == Reason::NotListed {
                *reason = Reason::MaybeListed;
            }
        }
        if taken.contains(one.resolved_path.as_slice()) {
            verdict.add(Reason::FactoryTaken);
        }
    }
}

/// A factory counts for the module type whichever bundle names it, and whoever is opened twice, by a link or as a
/// copy, is asked again after that (`_registerTypeLocked`, `_CFPlugInRegisterFactoryFunctionByNameLocked` of
/// CFPlugIn.c): of a bundle that declares one it is not proved that it registers none. Nor is it that nobody else declares
/// the same, by which the code of one that is refused runs.
fn allow_for_other_bundles(evidence: &[Box<Evidence>], verdicts: &mut [LoadVerdict]) {
    let infos = evidence.iter().filter_map(|one| info(one));
    let named: BTreeSet<&Option<_>> =
        order::gather(infos.flat_map(|info| info.names_for_others.iter()));
    let declare_odd = evidence.iter().filter_map(|one| info(one));
    let declare_odd = declare_odd.filter(|info| info.declares_odd).count();
    let names_odd = evidence
        .iter()
        .filter_map(|one| info(one))
        .any(|info| info.names_odd);
    // What was not read may name any, as may what is not known to be what the loader reads.
    let may_name_any = evidence.iter().any(|one| match &one.info_plist {
        _ if one.is_served() || one.is_doubtful || one.is_folder() => true,
        Some(plist) if !plist.is_certain => true,
        Some(plist) => plist.info.as_ref().map_or_else(is_unread, |info| {
            info.has_more_factories || info.is_overridden_twice || info.registers_dynamically
        }),
        None => leads_anywhere(one),
    });
    for (one, verdict) in evidence.iter().zip(verdicts) {
        let Some(info) = info(one) else { continue };
        let mut own = info.factories.iter();
        let declares_any =
            info.has_more_factories || info.declares_odd || !info.factories.is_empty();
        let is_named = own.any(|factory| named.contains(factory)) || info.declares_odd && names_odd;
        if may_name_any && declares_any || is_named {
            for reason in &mut verdict.reasons {
                if *reason == Reason::NoModuleFactory {
                    *reason = Reason::MaybeModuleFactory;
                }
            }
        }
        let is_refused = verdict.reasons.iter().any(|r| r.is_of_open());
        let may_be_shared = may_name_any && declares_any || info.declares_odd && declare_odd > 1;
        if is_refused && may_be_shared {
            verdict.add(Reason::FactoryTaken);
        }
    }
}

/// True of an Info.plist of which it is not known what it says.
fn is_unread(error: &Trouble) -> bool {
    !matches!(
        error,
        Trouble::Malformed(_) | Trouble::BrokenSymlink(_) | Trouble::NotRegular(_)
    )
}

/// True of a candidate of which it is not known where it leads.
fn leads_anywhere(evidence: &Evidence) -> bool {
    evidence.resolved_meta.is_none() && evidence.is_blind && !evidence.is_folder()
}

fn info(evidence: &Evidence) -> Option<&Info> {
    evidence.info_plist.as_ref()?.info.as_ref().ok()
}

fn judge_alone(evidence: &Evidence) -> LoadVerdict {
    let mut verdict = LoadVerdict::default();
    let mut say = |reason| {
        // Several that a volume leaves unknown are one.
        if !verdict.reasons.contains(&reason) {
            verdict.reasons.push(reason);
        }
    };
    if evidence.is_folder() {
        say(Reason::Unreadable);
        return verdict;
    }
    if !matches!(evidence.candidate.suffix, Suffix::Exact | Suffix::Platform) {
        say(Reason::Name);
    }
    match evidence.candidate.listed {
        Listed::Yes => {}
        Listed::ForItsLanguage => say(Reason::Language),
        Listed::Maybe => say(Reason::MaybeListed),
        Listed::No => say(Reason::NotListed),
    }
    // What a mounted volume serves may be another thing for each who asks.
    let is_served = evidence.is_served();
    let mut say = |reason: Reason| {
        let is_proof = !(is_served && reason.settles());
        say(if is_proof { reason } else { Reason::Unreadable });
    };
    match evidence.resolved_meta.map(|m| m.kind) {
        Some(Kind::Directory) => judge_bundle(evidence, &mut say),
        Some(_) => say(Reason::NotABundle),
        None => {
            let broken = evidence
                .troubles
                .iter()
                .any(|t| matches!(t, Trouble::BrokenSymlink(_)));
            say(if broken {
                Reason::BrokenSymlink
            } else {
                Reason::Unreadable
            });
        }
    }
    verdict
}

fn judge_bundle(evidence: &Evidence, say: &mut impl FnMut(Reason)) {
    let Some(plist) = &evidence.info_plist else {
        // A bundle that could not be listed whole may have one.
        return say(if evidence.is_whole && !evidence.is_doubtful {
            Reason::NoInfoPlist
        } else {
            Reason::Unreadable
        });
    };
    let info = match &plist.info {
        Ok(info) => info,
        Err(_) if evidence.is_doubtful => return say(Reason::Unreadable),
        Err(Trouble::Malformed(_)) => return say(Reason::MalformedInfoPlist),
        Err(Trouble::BrokenSymlink(_) | Trouble::NotRegular(_)) => return say(Reason::NoInfoPlist),
        Err(_) => return say(Reason::Unreadable),
    };
    // Nothing is proved by a list where another may be read.
    if !plist.is_certain {
        return say(Reason::Unreadable);
    }
    if info.is_overridden_twice {
        return say(Reason::OverriddenTwice);
    }
    judge_executable(evidence, say);
    if info.has_more_factories {
        say(Reason::FactoryTaken);
    }
    if !info.has_types {
        say(Reason::NoTypes);
    }
    if !info.has_factories {
        say(Reason::NoFactories);
    }
    if info.has_version == Given::No {
        say(Reason::NoVersion);
    }
    if info.has_plugin_name == Given::No {
        say(Reason::NoPluginName);
    }
    // The loader takes what is there for a text, and ends where it is none
    // (`CServerPlugin::ProcessURL`); a version of it that asks is not ruled out.
    let texts = [
        info.has_version,
        info.has_config_avail,
        info.has_config_file,
        info.has_plugin_name,
    ];
    // On a Mac no path can be made of a NUL that more follows.
    let has_nul = |name: &String| name.trim_end_matches('\0').contains('\0');
    if texts.contains(&Given::NoText) || info.executable.as_ref().is_some_and(has_nul) {
        say(Reason::OddType);
    }
    if info.has_types && info.has_factories {
        let is_odd = info.declares_odd && info.names_odd;
        let may_be = info.has_module_factory || info.registers_dynamically || is_odd;
        match (info.has_module_factory, info.is_template) {
            (true, false) => {}
            (_, true) if may_be => say(Reason::MaybeModuleFactory),
            (false, false) if info.registers_dynamically => say(Reason::DynamicRegistration),
            (false, false) if is_odd => say(Reason::MaybeModuleFactory),
            (false, _) | (true, true) => say(Reason::NoModuleFactory),
        }
    }
}

fn judge_executable(evidence: &Evidence, say: &mut impl FnMut(Reason)) {
    // Where it may be another file nothing is proved by this one.
    let mut say = |reason: Reason| {
        let is_proof = !(evidence.is_doubtful && reason.settles());
        say(if is_proof { reason } else { Reason::Unreadable });
    };
    let Some(executable) = &evidence.executable else {
        return say(Reason::NoExecutable);
    };
    if executable.meta.kind != Kind::File {
        return say(Reason::NoExecutable);
    }
    let content = executable.content(evidence);
    if content.sha256().is_none() {
        return say(Reason::Unreadable);
    }
    let maps = content.code().is_some_and(|code| {
        let mut slices = code.slices.iter();
        slices.any(|s| is_64_bit(&s.architecture))
    });
    // Of what was not read nothing is proved.
    let is_whole = content.code().is_none_or(CodeFacts::has_all_slices);
    match content.cpus() {
        Cpus::Wanted if maps => {}
        _ if !maps && !is_whole => say(Reason::OddMachO),
        Cpus::Unwanted if !maps => say(Reason::No64BitSlice),
        Cpus::None if !maps => say(Reason::NotMachO),
        _ => say(Reason::OddMachO),
    }
}

/// True for an architecture of which code may be mapped: the loader asks for the CPU alone, of which a
/// slice may name any subtype.
fn is_64_bit(architecture: &str) -> bool {
    let cpus = ["16777223", "16777228", "16777234"];
    match architecture.split_once(':') {
        Some((cpu, _)) => cpus.contains(&cpu),
        None => matches!(
            architecture,
            "x86_64" | "x86_64h" | "arm64" | "arm64v8" | "arm64e" | "ppc64"
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::is_64_bit;

    #[test]
    fn the_cpu_counts_whatever_the_subtype() {
        for name in [
            "x86_64",
            "arm64e",
            "arm64v8",
            "ppc64",
            "16777228:3",
            "16777234:3",
        ] {
            assert!(is_64_bit(name), "{name}");
        }
        for name in ["i386", "ppc", "arm64_32", "armv7", "7:9", "33554444:7"] {
            assert!(!is_64_bit(name), "{name}");
        }
    }
}
