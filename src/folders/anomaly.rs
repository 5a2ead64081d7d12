//! What is unusual about a plug-in folder.

use std::fmt;

macro_rules! anomalies {
    ($($variant:ident $word:literal $meaning:literal)*) => {
        /// Something unusual about a plug-in folder, in order of the words for it.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Anomaly {
            $(#[doc = $meaning] $variant,)*
        }

        impl Anomaly {
            /// Every one.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The word for it, as the tables show it.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word,)* }
            }

            /// What it means, for people.
            pub fn meaning(self) -> &'static str {
                match self { $(Self::$variant => $meaning,)* }
            }
        }
    };
}

anomalies! {
    BrokenLayout "broken_layout" "A link that decides how the folder is read as a bundle leads nowhere."
    BrokenSymlink "broken_symlink" "In its place stands a link that leads nowhere."
    Contents "contents" "It holds a directory `Contents`: CoreFoundation takes it for a bundle, and the loader looks in `Contents` too."
    InfoPlist "info_plist" "It has an Info.plist of its own, which can lead the loader to a further directory."
    LetterCase "letter_case" "A candidate's suffix is `.dsplug` in other letter case."
    LookAlike "look_alike" "A name looks as if it ended in `.dsplug` and does not."
    Lproj "lproj" "It holds a directory of a language (`.lproj`), in which the loader looks too."
    LprojElsewhere "lproj_elsewhere" "Its Info.plist leads the loader to a directory that is not its own."
    Mount "mount" "A volume is mounted in it."
    Mounted "mounted" "A volume is mounted over it, or on the way to it: what is read there is what that serves."
    Nested "nested" "Candidates stand deeper, where the loader does not look."
    OtherEntries "other_entries" "Something stands in it that is no candidate."
    PlatformSuffix "platform_suffix" "A name ends in `.dsplug` and a platform's suffix."
    Resources "resources" "It holds a directory `Resources`: CoreFoundation takes it for a bundle of the oldest form."
    SameLetters "same_letters" "Two names of candidates are one on a Mac's disk."
    SupportFiles "support_files" "It holds a directory `Support Files`: CoreFoundation takes it for a bundle of an old form."
    Symlinked "symlinked" "A link stands on the way to it: what it holds really stands elsewhere."
    SymlinkedContents "symlinked_contents" "Its `Contents` is a link."
    SymlinkedLproj "symlinked_lproj" "Its directory of a language is a link."
    SymlinkedResources "symlinked_resources" "Its `Resources` is a link."
    SymlinkedSupportFiles "symlinked_support_files" "Its `Support Files` is a link."
    Wrapped "wrapped" "It is arranged as a wrapped bundle, by `Wrapper` or `WrappedBundle`."
    Writable "writable" "Others than root can write it, a directory on the way to it, or one of it that the loader lists."
}

impl fmt::Display for Anomaly {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The column has the words sorted.
    #[test]
    fn their_order_is_that_of_the_words() {
        assert!(Anomaly::ALL.is_sorted_by(|a, b| a < b && a.as_str() < b.as_str()));
    }
}
