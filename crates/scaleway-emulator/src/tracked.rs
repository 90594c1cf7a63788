//! A map that remembers which of its values may have changed.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::ops::Deref;

/// Values by id. Reading is that of a map; each change goes through a method that notes the id.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Tracked<T> {
    all: BTreeMap<String, T>,
    #[serde(skip)]
    touched: Vec<String>,
}

impl<T> Default for Tracked<T> {
    fn default() -> Self {
        Self { all: BTreeMap::new(), touched: Vec::new() }
    }
}

impl<T> Deref for Tracked<T> {
    type Target = BTreeMap<String, T>;

    fn deref(&self) -> &BTreeMap<String, T> {
        &self.all
    }
}

impl<T> Tracked<T> {
    pub(crate) fn insert(&mut self, id: String, value: T) {
        self.touched.push(id.clone());
        self.all.insert(id, value);
    }

    pub(crate) fn remove(&mut self, id: &str) -> Option<T> {
        self.touched.push(id.to_owned());
        self.all.remove(id)
    }

    pub(crate) fn get_mut(&mut self, id: &str) -> Option<&mut T> {
        let found = self.all.get_mut(id)?;
        self.touched.push(id.to_owned());
        Some(found)
    }

    /// All values, to change what costs nothing: it is not noted.
    pub(crate) fn values_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.all.values_mut()
    }

    /// The ids of values that may have changed since this was last called.
    pub(crate) fn take_touched(&mut self) -> Vec<String> {
        std::mem::take(&mut self.touched)
    }

    /// Notes every value.
    pub(crate) fn touch_all(&mut self) {
        self.touched = self.all.keys().cloned().collect();
    }
}
