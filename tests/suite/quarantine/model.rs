//! A plain model of folder, vault and ledger, held against the program over any row of calls.

use std::collections::BTreeMap;

use dsplug_fixtures::{Disk, Plugin};
use proptest::prelude::*;

use super::scene::Scene;

/// One thing that is done.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// A bundle appears, or is replaced by one with other content.
    Write(u8, u8),
    Quarantine(u8),
    /// Of the entries that are quarantined, one.
    Restore(u8),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        (0..3_u8, 0..2_u8).prop_map(|(name, content)| Step::Write(name, content)),
        (0..3_u8).prop_map(Step::Quarantine),
        (0..4_u8).prop_map(Step::Restore),
    ]
}

fn name(name: u8) -> String {
    format!("{}.dsplug", char::from(b'A' + name))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(6))]
    #[test]
    fn any_row_of_calls(steps in prop::collection::vec(step(), 1..12)) {
        let scene = Scene::new(Disk::new());
        let mut folder: BTreeMap<u8, u8> = BTreeMap::new();
        // Entries in their order: name, content, and whether it is in the vault.
        let mut ledger: Vec<(String, u8, u8, bool)> = Vec::new();
        for step in steps {
            match step {
                Step::Write(who, content) => {
                    let path = scene.disk.plugin(name(who));
                    let _ = std::fs::remove_dir_all(&path);
                    Plugin::new("X").file("content", [content]).write_as(&path);
                    folder.insert(who, content);
                }
                Step::Quarantine(who) => {
                    let path = Scene::path(&name(who));
                    match folder.remove(&who) {
                        None => drop(scene.refused(&["quarantine", &path])),
                        Some(content) => {
                            let said = scene.done(&["quarantine", &path]);
                            let id = said.split_whitespace().nth(1).unwrap().to_owned();
                            ledger.push((id, who, content, true));
                        }
                    }
                }
                Step::Restore(which) => {
                    let Some((id, who, content, held)) = ledger.get_mut(usize::from(which)) else { continue };
                    if *held && !folder.contains_key(who) {
                        scene.done(&["restore", id]);
                        *held = false;
                        folder.insert(*who, *content);
                    } else {
                        scene.refused(&["restore", id]);
                    }
                }
            }
            let stands: BTreeMap<u8, u8> = (0..3)
                .filter_map(|who| {
                    let content = std::fs::read(scene.disk.plugin(name(who)).join("content")).ok()?;
                    Some((who, content[0]))
                })
                .collect();
            prop_assert_eq!(&stands, &folder);
            if ledger.is_empty() { continue }
            let rows = scene.ledger();
            prop_assert_eq!(rows.len(), ledger.len());
            for (id, who, content, held) in &ledger {
                let row = rows.iter().find(|r| r["id"] == *id).unwrap();
                prop_assert_eq!(row["state"].as_str(), if *held { "quarantined" } else { "restored" });
                prop_assert_eq!(&row["path"], &Scene::path(&name(*who)));
                let item = scene.state().join("vault").join(id).join("item/content");
                let kept = std::fs::read(item).ok();
                prop_assert_eq!(kept, held.then(|| vec![*content]));
            }
        }
    }
}
