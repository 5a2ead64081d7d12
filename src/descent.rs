//! A way down through directories, name by name, of which the last few alone are held open.
//!
//! Descriptors are few: launchd gives a job 256, and whoever makes a directory chooses how deep it is.

use std::collections::VecDeque;

use crate::directory::{Dir, ReadError};

/// Directories that are held open.
const MOST_OPEN: usize = 8;

/// Where somebody stands below a directory.
#[derive(Debug)]
pub struct Descent {
    top: Dir,
    names: Vec<Vec<u8>>,
    /// Those that the last of the names stand for.
    open: VecDeque<Dir>,
    /// How many directories were opened again.
    reopened: usize,
}

impl Descent {
    /// At the directory itself.
    pub fn new(top: Dir) -> Self {
        Self {
            top,
            names: Vec::new(),
            open: VecDeque::new(),
            reopened: 0,
        }
    }

    /// Begins at a directory below the top instead, which was gone down to before.
    pub fn begin_at(&mut self, dir: Dir) {
        let names = dir.path().split(|b| *b == b'/').skip(1);
        self.names = names.map(<[u8]>::to_vec).collect();
        self.open = [dir].into();
    }

    /// The names that led here.
    pub fn names(&self) -> &[Vec<u8>] {
        &self.names
    }

    /// How many directories were opened again so far, because they were no longer held.
    pub fn reopened(&self) -> usize {
        self.reopened
    }

    /// The directory that was come to. One that is no longer open is gone down to again, by the same
    /// names: no link is followed, so that never leads out of the top.
    ///
    /// # Errors
    /// When one of them is no directory any more, or cannot be opened.
    pub fn here(&mut self) -> Result<Dir, ReadError> {
        if self.open.is_empty() {
            self.reopened = self.reopened.saturating_add(self.names.len());
            let mut dir = self.top.clone();
            for name in &self.names {
                dir = dir.open_dir(name)?;
                hold(&mut self.open, dir.clone());
            }
        }
        Ok(self.open.back().unwrap_or(&self.top).clone())
    }

    /// Goes into a directory; a link is refused.
    ///
    /// # Errors
    /// When it is no directory or cannot be opened.
    pub fn down(&mut self, name: &[u8]) -> Result<(), ReadError> {
        let dir = self.here()?.open_dir(name)?;
        hold(&mut self.open, dir);
        self.names.push(name.to_vec());
        Ok(())
    }

    /// Goes back to the directory above; at the top it stays.
    pub fn up(&mut self) {
        self.names.pop();
        self.open.pop_back();
    }

    /// Goes back to the top.
    pub fn restart(&mut self) {
        self.names.clear();
        self.open.clear();
    }
}

fn hold(open: &mut VecDeque<Dir>, dir: Dir) {
    if open.len() >= MOST_OPEN {
        open.pop_front();
    }
    open.push_back(dir);
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn goes_up_further_than_is_held_open() {
        let base = std::env::temp_dir().join(format!("dsplug-descent-{}", std::process::id()));
        let deep = base.join("d/".repeat(30));
        fs::create_dir_all(&deep).unwrap();
        let mut way = Descent::new(Dir::open_top(&base).unwrap());
        for depth in 1..=30 {
            way.down(b"d").unwrap();
            assert_eq!(way.here().unwrap().path(), "/d".repeat(depth).as_bytes());
            assert!(way.open.len() <= MOST_OPEN);
        }
        for depth in (1..30).rev() {
            way.up();
            assert_eq!(way.here().unwrap().path(), "/d".repeat(depth).as_bytes());
            assert!(way.open.len() <= MOST_OPEN);
        }
        for _ in 0..3 {
            way.up();
            assert_eq!(way.here().unwrap().path(), b"/");
        }
        assert!(way.down(b"none").is_err());
        assert!(way.names().is_empty());
        way.down(b"d").unwrap();
        way.restart();
        assert_eq!(way.here().unwrap().path(), b"/");
        fs::remove_dir_all(&base).unwrap();
    }
}
