//! The programs that take the files, where Python has them: Sigma's checker and back ends; and
//! Fleet's keys, by types taken from its source.

use super::python::check;

#[test]
fn sigma_rules_are_valid_and_every_back_end_converts_them() {
    check("consumers/sigma_rules.py");
}

#[test]
fn fleet_takes_each_file() {
    check("consumers/fleet_types.py");
}
