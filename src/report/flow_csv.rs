//! Flow records as CSV, one flow a row: the columns of [`super::flow_columns`].
//!
//! Lists are joined by spaces; what was not seen is empty.

use std::io::{self, Write};

use super::FlowRecord;
use super::flow_columns::{Column, Value, columns};

/// Writes flow records as CSV, the heading first.
pub struct FlowCsv<W: Write> {
    table: csv::Writer<W>,
    columns: Vec<Column>,
}

impl<W: Write> FlowCsv<W> {
    /// Starts a table with columns for the policies of these names.
    ///
    /// # Errors
    /// When writing fails.
    pub fn new(out: W, policies: &[String]) -> io::Result<Self> {
        let mut table = csv::Writer::from_writer(out);
        let columns = columns(policies);
        table.write_record(columns.iter().map(|column| column.name.as_bytes()))?;
        Ok(Self { table, columns })
    }

    /// Adds a row.
    ///
    /// # Errors
    /// When writing fails.
    pub fn write(&mut self, flow: &FlowRecord<'_>) -> io::Result<()> {
        for column in &self.columns {
            match column.value(flow) {
                Value::Text(text) => self.table.write_field(text.unwrap_or_default().as_bytes()),
                Value::Integer(number) => self.table.write_field(shown(number)),
                Value::Boolean(flag) => self.table.write_field(shown(flag)),
                Value::Time(time) => self.table.write_field(time.to_string()),
                Value::Date(date) => self.table.write_field(shown(date)),
                Value::List(texts) => self.table.write_field(texts.join(" ")),
            }?;
        }
        self.table.write_record(None::<&[u8]>)?;
        Ok(())
    }

    /// Writes what is still held back, and gives back what was written to.
    ///
    /// # Errors
    /// When writing fails.
    pub fn finish(self) -> io::Result<W> {
        self.table.into_inner().map_err(|error| error.into_error())
    }
}

/// What was not seen is empty.
fn shown(value: Option<impl ToString>) -> String {
    value.map(|value| value.to_string()).unwrap_or_default()
}
