//! Statements with their values, and columns read back.

use crate::error::{Error, corrupt};
use inventiv_core::time::Timestamp;
use sqlx::any::{AnyArguments, AnyRow};
use sqlx::{Arguments, Row};

/// One SQL text with its values.
#[derive(Clone)]
pub(crate) struct Statement {
    pub(crate) sql: &'static str,
    pub(crate) args: Args,
    /// How many rows must be affected; otherwise the whole write is undone.
    pub(crate) expect_rows: Option<u64>,
}

/// A column value: the two types that both databases share.
#[derive(Clone)]
enum Value {
    Text(Option<String>),
    Int(Option<i64>),
}

/// Values in the order of `$1`, `$2`, …
#[derive(Clone, Default)]
pub(crate) struct Args(Vec<Value>);

impl Args {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    fn push(&mut self, value: Value) -> &mut Self {
        self.0.push(value);
        self
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// Appends them to the driver's arguments.
    pub(crate) fn give(self, driver: &mut AnyArguments) {
        for value in self.0 {
            // Encoding texts and integers cannot fail.
            let _ = match value {
                Value::Text(text) => driver.add(text),
                Value::Int(int) => driver.add(int),
            };
        }
    }

    /// As the driver's arguments.
    pub(crate) fn for_driver(self) -> AnyArguments {
        let mut driver = AnyArguments::default();
        self.give(&mut driver);
        driver
    }

    pub(crate) fn text(&mut self, value: &str) -> &mut Self {
        self.push(Value::Text(Some(value.to_owned())))
    }

    pub(crate) fn opt_text(&mut self, value: Option<&str>) -> &mut Self {
        self.push(Value::Text(value.map(str::to_owned)))
    }

    pub(crate) fn int(&mut self, value: i64) -> &mut Self {
        self.push(Value::Int(Some(value)))
    }

    pub(crate) fn opt_int(&mut self, value: Option<i64>) -> &mut Self {
        self.push(Value::Int(value))
    }

    pub(crate) fn flag(&mut self, value: bool) -> &mut Self {
        self.int(i64::from(value))
    }

    pub(crate) fn time(&mut self, value: Timestamp) -> &mut Self {
        self.int(value.0)
    }

    pub(crate) fn opt_time(&mut self, value: Option<Timestamp>) -> &mut Self {
        self.opt_int(value.map(|t| t.0))
    }

    pub(crate) fn json<T: serde::Serialize>(&mut self, value: &T) -> &mut Self {
        // Our own types always have a JSON form.
        self.push(Value::Text(Some(serde_json::to_string(value).unwrap_or_default())))
    }

    pub(crate) fn opt_json<T: serde::Serialize>(&mut self, value: Option<&T>) -> &mut Self {
        self.push(Value::Text(value.map(|v| serde_json::to_string(v).unwrap_or_default())))
    }

    pub(crate) fn statement(&mut self, sql: &'static str) -> Statement {
        Statement { sql, args: std::mem::take(self), expect_rows: None }
    }

    /// A statement that must affect exactly one row.
    pub(crate) fn guarded(&mut self, sql: &'static str) -> Statement {
        Statement { expect_rows: Some(1), ..self.statement(sql) }
    }
}

/// A row whose columns are read by name.
pub(crate) struct Columns<'r>(pub(crate) &'r AnyRow);

impl Columns<'_> {
    pub(crate) fn text(&self, name: &str) -> Result<String, Error> {
        self.0.try_get(name).map_err(|e| corrupt(&format!("{name}: {e}")))
    }

    pub(crate) fn opt_text(&self, name: &str) -> Result<Option<String>, Error> {
        self.0.try_get(name).map_err(|e| corrupt(&format!("{name}: {e}")))
    }

    pub(crate) fn int(&self, name: &str) -> Result<i64, Error> {
        self.0.try_get(name).map_err(|e| corrupt(&format!("{name}: {e}")))
    }

    pub(crate) fn opt_int(&self, name: &str) -> Result<Option<i64>, Error> {
        self.0.try_get(name).map_err(|e| corrupt(&format!("{name}: {e}")))
    }

    pub(crate) fn small(&self, name: &str) -> Result<u32, Error> {
        u32::try_from(self.int(name)?).map_err(|_| corrupt(name))
    }

    pub(crate) fn flag(&self, name: &str) -> Result<bool, Error> {
        self.int(name).map(|v| v != 0)
    }

    pub(crate) fn time(&self, name: &str) -> Result<Timestamp, Error> {
        self.int(name).map(Timestamp)
    }

    pub(crate) fn opt_time(&self, name: &str) -> Result<Option<Timestamp>, Error> {
        self.opt_int(name).map(|t| t.map(Timestamp))
    }

    pub(crate) fn word<T>(&self, name: &str, parse: impl Fn(&str) -> Option<T>) -> Result<T, Error> {
        let text = self.text(name)?;
        parse(&text).ok_or_else(|| corrupt(&format!("{name}: `{text}`")))
    }

    pub(crate) fn opt_word<T>(&self, name: &str, parse: impl Fn(&str) -> Option<T>) -> Result<Option<T>, Error> {
        let read = |text: String| parse(&text).ok_or_else(|| corrupt(&format!("{name}: `{text}`")));
        self.opt_text(name)?.map(read).transpose()
    }

    pub(crate) fn json<T: serde::de::DeserializeOwned>(&self, name: &str) -> Result<T, Error> {
        serde_json::from_str(&self.text(name)?).map_err(|e| corrupt(&format!("{name}: {e}")))
    }

    pub(crate) fn opt_json<T: serde::de::DeserializeOwned>(&self, name: &str) -> Result<Option<T>, Error> {
        match self.opt_text(name)? {
            Some(text) => serde_json::from_str(&text).map(Some).map_err(|e| corrupt(&format!("{name}: {e}"))),
            None => Ok(None),
        }
    }
}
