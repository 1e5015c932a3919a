//! Flow records as Parquet, zstd compressed: the columns of [`super::flow_columns`], with types.
//!
//! Text is `STRING`, counts are `INT64`, times `TIMESTAMP(NANOS, UTC)`, dates of certificates `TIMESTAMP(MILLIS, UTC)` (they
//! reach the year 9999), lists `LIST` of `STRING`. What was not seen is null; a list is never null but may be empty.
//!
//! Rows are held until a row group is full, by rows or by bytes, so memory does not grow with the number of flows. (The
//! footer of the file does: about 10 bytes a flow.) Nothing in a file depends on the clock or the host.
//!
//! Source: Apache Parquet format, "LogicalTypes" (names of list elements among them).

use std::io::{self, Write};
use std::sync::Arc;

use parquet::basic::{Compression, LogicalType, Repetition, TimeUnit, Type as Physical, ZstdLevel};
use parquet::data_type::{BoolType, ByteArray, ByteArrayType, DataType, Int64Type};
use parquet::errors::{ParquetError, Result};
use parquet::file::properties::WriterProperties;
use parquet::file::writer::{SerializedColumnWriter, SerializedFileWriter};
use parquet::schema::types::{Type, TypePtr};

use super::FlowRecord;
use super::flow_columns::{Column, Kind, Value, columns};

/// Writes flow records as a Parquet file.
pub struct FlowParquet<W: Write + Send> {
    file: SerializedFileWriter<W>,
    columns: Vec<Column>,
    cells: Vec<Cells>,
    rows: usize,
    text_bytes: usize,
}

impl<W: Write + Send> FlowParquet<W> {
    /// Starts a file with columns for the policies of these names.
    ///
    /// # Errors
    /// When writing fails.
    pub fn new(out: W, policies: &[String]) -> io::Result<Self> {
        let columns = columns(policies);
        let file = schema(&columns).and_then(|schema| SerializedFileWriter::new(out, schema, Arc::new(properties()?)));
        let cells = columns.iter().map(|column| Cells::new(column.kind())).collect();
        Ok(Self { file: file.map_err(to_io)?, columns, cells, rows: 0, text_bytes: 0 })
    }

    /// Adds a row.
    ///
    /// # Errors
    /// When writing fails.
    pub fn write(&mut self, flow: &FlowRecord<'_>) -> io::Result<()> {
        for (column, cells) in self.columns.iter().zip(&mut self.cells) {
            self.text_bytes += cells.push(column.value(flow));
        }
        self.rows += 1;
        if self.rows >= GROUP_ROWS || self.text_bytes >= GROUP_TEXT_BYTES {
            self.write_group().map_err(to_io)?;
        }
        Ok(())
    }

    /// Completes the file, and gives back what was written to.
    ///
    /// # Errors
    /// When writing fails.
    pub fn finish(mut self) -> io::Result<W> {
        self.write_group().and_then(|()| self.file.into_inner()).map_err(to_io)
    }

    fn write_group(&mut self) -> Result<()> {
        if self.rows == 0 {
            return Ok(());
        }
        let mut group = self.file.next_row_group()?;
        for cells in &mut self.cells {
            if let Some(mut column) = group.next_column()? {
                cells.write(&mut column)?;
                column.close()?;
            }
        }
        group.close()?;
        (self.rows, self.text_bytes) = (0, 0);
        Ok(())
    }
}

/// The cells of one column that are not written yet.
enum Cells {
    Text(Levels<ByteArray>),
    Integer(Levels<i64>),
    Boolean(Levels<bool>),
    List(Levels<ByteArray>),
}

/// Values that are there, and levels that tell where: one definition level a cell (in lists: a value), 1 when it is there;
/// in lists a repetition level with it, 0 where a new list begins.
struct Levels<T> {
    values: Vec<T>,
    definition: Vec<i16>,
    repetition: Vec<i16>,
}

impl Cells {
    fn new(kind: Kind) -> Self {
        match kind {
            Kind::Text => Self::Text(Levels::new()),
            Kind::Integer | Kind::Time | Kind::Date => Self::Integer(Levels::new()),
            Kind::Boolean => Self::Boolean(Levels::new()),
            Kind::List => Self::List(Levels::new()),
        }
    }

    /// Adds a cell; returns how many bytes of text it holds.
    fn push(&mut self, value: Value<'_>) -> usize {
        match (self, value) {
            (Self::Text(cells), Value::Text(text)) => {
                let len = text.as_ref().map_or(0, |text| text.len());
                cells.push(text.map(|text| bytes(&text)));
                len
            }
            (Self::List(cells), Value::List(texts)) => {
                cells.push_list(&texts);
                texts.iter().map(|text| text.len()).sum()
            }
            (Self::Integer(cells), value) => {
                cells.push(match value {
                    // No count of bytes or packets reaches half of 2^64.
                    Value::Integer(number) => number.map(|number| i64::try_from(number).unwrap_or(i64::MAX)),
                    Value::Time(time) => Some(time.0),
                    Value::Date(date) => date.map(|date| date.milliseconds()),
                    Value::Text(_) | Value::Boolean(_) | Value::List(_) => None,
                });
                0
            }
            (Self::Boolean(cells), Value::Boolean(flag)) => {
                cells.push(flag);
                0
            }
            // A column has one kind.
            (Self::Text(_) | Self::List(_) | Self::Boolean(_), _) => 0,
        }
    }

    fn write(&mut self, column: &mut SerializedColumnWriter<'_>) -> Result<()> {
        match self {
            Self::Text(cells) => cells.write::<ByteArrayType>(column, false),
            Self::Integer(cells) => cells.write::<Int64Type>(column, false),
            Self::Boolean(cells) => cells.write::<BoolType>(column, false),
            Self::List(cells) => cells.write::<ByteArrayType>(column, true),
        }
    }
}

impl<T> Levels<T> {
    fn new() -> Self {
        Self { values: Vec::new(), definition: Vec::new(), repetition: Vec::new() }
    }

    fn push(&mut self, value: Option<T>) {
        self.definition.push(i16::from(value.is_some()));
        self.values.extend(value);
    }

    /// Writes all cells and forgets them.
    fn write<D: DataType<T = T>>(&mut self, column: &mut SerializedColumnWriter<'_>, lists: bool) -> Result<()> {
        let repetition = lists.then_some(self.repetition.as_slice());
        column.typed::<D>().write_batch(&self.values, Some(&self.definition), repetition)?;
        self.values.clear();
        self.definition.clear();
        self.repetition.clear();
        Ok(())
    }
}

impl Levels<ByteArray> {
    fn push_list(&mut self, texts: &[&str]) {
        for (place, text) in texts.iter().enumerate() {
            self.repetition.push(i16::from(place > 0));
            self.push(Some(bytes(text)));
        }
        if texts.is_empty() {
            self.repetition.push(0);
            self.push(None);
        }
    }
}

fn bytes(text: &str) -> ByteArray {
    ByteArray::from(text.as_bytes().to_vec())
}

fn schema(columns: &[Column]) -> Result<TypePtr> {
    let fields = columns.iter().map(|column| field(&column.name, column.kind()).map(Arc::new));
    Type::group_type_builder("flow").with_fields(fields.collect::<Result<_>>()?).build().map(Arc::new)
}

fn field(name: &str, kind: Kind) -> Result<Type> {
    let leaf = |physical, logical| {
        Type::primitive_type_builder(name, physical)
            .with_repetition(Repetition::OPTIONAL)
            .with_logical_type(logical)
            .build()
    };
    match kind {
        Kind::Text => leaf(Physical::BYTE_ARRAY, Some(LogicalType::String)),
        Kind::Integer => leaf(Physical::INT64, None),
        Kind::Boolean => leaf(Physical::BOOLEAN, None),
        Kind::Time => leaf(Physical::INT64, Some(LogicalType::timestamp(true, TimeUnit::NANOS))),
        Kind::Date => leaf(Physical::INT64, Some(LogicalType::timestamp(true, TimeUnit::MILLIS))),
        Kind::List => {
            let element = Type::primitive_type_builder("element", Physical::BYTE_ARRAY)
                .with_repetition(Repetition::REQUIRED)
                .with_logical_type(Some(LogicalType::String))
                .build()?;
            let elements = Type::group_type_builder("list")
                .with_repetition(Repetition::REPEATED)
                .with_fields(vec![Arc::new(element)])
                .build()?;
            Type::group_type_builder(name)
                .with_repetition(Repetition::REQUIRED)
                .with_logical_type(Some(LogicalType::List))
                .with_fields(vec![Arc::new(elements)])
                .build()
        }
    }
}

fn properties() -> Result<WriterProperties> {
    Ok(WriterProperties::builder()
        .set_created_by(concat!("tlscov ", env!("CARGO_PKG_VERSION")).to_owned())
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(3)?))
        .build())
}

/// A closed pipe stays a closed pipe.
fn to_io(error: ParquetError) -> io::Error {
    match error {
        ParquetError::External(error) => match error.downcast::<io::Error>() {
            Ok(error) => *error,
            Err(error) => io::Error::other(error),
        },
        error => io::Error::other(error),
    }
}

/// Rows of a row group: about 25 MB of cells that are not written yet.
const GROUP_ROWS: usize = 1 << 15;

/// Text of a row group, which a capture may make as long as it likes. Unit: bytes.
const GROUP_TEXT_BYTES: usize = 16 << 20;

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may fail")]
mod tests {
    use parquet::file::reader::{FileReader, SerializedFileReader};
    use parquet::record::Field;

    use super::super::FlowCsv;
    use super::super::time;
    use super::*;
    use crate::tally::testing::office;

    fn shown(field: &Field) -> String {
        match field {
            Field::Null => String::new(),
            Field::Str(text) => text.clone(),
            Field::Long(number) => number.to_string(),
            Field::Bool(flag) => flag.to_string(),
            Field::TimestampMillis(time) => super::super::Seconds::new(time / 1000).unwrap().to_string(),
            Field::ListInternal(list) => list.elements().iter().map(shown).collect::<Vec<_>>().join(" "),
            other => panic!("{other:?}"),
        }
    }

    /// Every cell of the Parquet file is that of the CSV file, over several row groups.
    #[test]
    fn parquet_holds_what_csv_holds() {
        let policies = ["bcp195".to_owned()];
        let (flows, rounds) = (office(), GROUP_ROWS / 8);
        let mut table = FlowCsv::new(Vec::new(), &policies).unwrap();
        let mut file = FlowParquet::new(Vec::new(), &policies).unwrap();
        for flow in (0..rounds).flat_map(|_| &flows) {
            let record = FlowRecord::new("a.pcap", flow, &[], &[]);
            table.write(&record).unwrap();
            file.write(&record).unwrap();
        }
        let text = table.finish().unwrap();
        let mut table = csv::Reader::from_reader(text.as_slice());
        let mut disk = tempfile::tempfile().unwrap();
        disk.write_all(&file.finish().unwrap()).unwrap();
        let file = SerializedFileReader::new(disk).unwrap();
        assert!(file.metadata().num_row_groups() > 1);
        let names = table.headers().unwrap().clone();
        let mut rows = 0;
        for (want, have) in table.records().zip(file.get_row_iter(None).unwrap()) {
            let (want, have) = (want.unwrap(), have.unwrap());
            for ((name, want), (column, have)) in names.iter().zip(&want).zip(have.get_column_iter()) {
                assert_eq!(name, column);
                let have = match have {
                    Field::Long(nanoseconds) if name == "start" || name == "end" => time::format(*nanoseconds),
                    field => shown(field),
                };
                assert_eq!(have, want, "{name}");
            }
            rows += 1;
        }
        assert_eq!(rows, rounds * flows.len());
    }
}
