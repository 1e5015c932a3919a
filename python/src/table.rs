//! Flow records as Arrow record batches: the columns of the Parquet file, with the same types.
//!
//! Text is `string`, counts are `int64`, times `timestamp[ns, UTC]`, dates of certificates `timestamp[ms, UTC]` (they reach the
//! year 9999), lists `list<string>`. What was not seen is null; a list is never null but may be empty.

use std::sync::Arc;

use arrow_array::builder::{
    BooleanBuilder, Int64Builder, ListBuilder, StringBuilder, TimestampMillisecondBuilder, TimestampNanosecondBuilder,
};
use arrow_array::{ArrayRef, RecordBatch};
use arrow_schema::{ArrowError, DataType, Field, FieldRef, Schema, SchemaRef, TimeUnit};
use tlscov::report::FlowRecord;
use tlscov::report::flow_columns::{Column, Kind, Value};

/// Rows of a batch.
const ROWS: usize = 1 << 14;

/// Text of a batch, which a capture may make as long as it likes. Unit: bytes.
const TEXT_BYTES: usize = 16 << 20;

/// The schema of a table with these columns.
pub(crate) fn schema(columns: &[Column]) -> SchemaRef {
    let field = |column: &Column| Field::new(&*column.name, data_type(column.kind()), column.kind() != Kind::List);
    Arc::new(Schema::new(columns.iter().map(field).collect::<Vec<_>>()))
}

fn data_type(kind: Kind) -> DataType {
    match kind {
        Kind::Text => DataType::Utf8,
        Kind::Integer => DataType::Int64,
        Kind::Boolean => DataType::Boolean,
        Kind::Time => DataType::Timestamp(TimeUnit::Nanosecond, Some("UTC".into())),
        Kind::Date => DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into())),
        Kind::List => DataType::List(element()),
    }
}

/// Named as in Parquet.
fn element() -> FieldRef {
    Arc::new(Field::new("element", DataType::Utf8, false))
}

/// Rows that are on their way into a batch.
pub(crate) struct Rows {
    schema: SchemaRef,
    columns: Arc<[Column]>,
    cells: Vec<Cells>,
    rows: usize,
    text_bytes: usize,
}

impl Rows {
    pub(crate) fn new(schema: SchemaRef, columns: Arc<[Column]>) -> Self {
        let cells = columns.iter().map(|column| Cells::new(column.kind())).collect();
        Self { schema, columns, cells, rows: 0, text_bytes: 0 }
    }

    /// Adds a row; gives a batch when it is full.
    pub(crate) fn push(&mut self, flow: &FlowRecord<'_>) -> Result<Option<RecordBatch>, ArrowError> {
        for (column, cells) in self.columns.iter().zip(&mut self.cells) {
            self.text_bytes += cells.push(column.value(flow));
        }
        self.rows += 1;
        if self.rows >= ROWS || self.text_bytes >= TEXT_BYTES { self.take().map(Some) } else { Ok(None) }
    }

    /// The last rows, `None` when there are none.
    pub(crate) fn take_rest(&mut self) -> Result<Option<RecordBatch>, ArrowError> {
        (self.rows > 0).then(|| self.take()).transpose()
    }

    /// The rows so far, however few.
    fn take(&mut self) -> Result<RecordBatch, ArrowError> {
        (self.rows, self.text_bytes) = (0, 0);
        RecordBatch::try_new(Arc::clone(&self.schema), self.cells.iter_mut().map(Cells::finish).collect())
    }
}

/// The cells of one column.
enum Cells {
    Text(StringBuilder),
    Integer(Int64Builder),
    Boolean(BooleanBuilder),
    Time(TimestampNanosecondBuilder),
    Date(TimestampMillisecondBuilder),
    List(ListBuilder<StringBuilder>),
}

impl Cells {
    fn new(kind: Kind) -> Self {
        match kind {
            Kind::Text => Self::Text(StringBuilder::new()),
            Kind::Integer => Self::Integer(Int64Builder::new()),
            Kind::Boolean => Self::Boolean(BooleanBuilder::new()),
            Kind::Time => Self::Time(TimestampNanosecondBuilder::new().with_data_type(data_type(kind))),
            Kind::Date => Self::Date(TimestampMillisecondBuilder::new().with_data_type(data_type(kind))),
            Kind::List => Self::List(ListBuilder::new(StringBuilder::new()).with_field(element())),
        }
    }

    /// Adds a cell; returns how many bytes of text it holds.
    fn push(&mut self, value: Value<'_>) -> usize {
        match (self, value) {
            (Self::Text(cells), Value::Text(text)) => {
                cells.append_option(text.as_deref());
                text.map_or(0, |text| text.len())
            }
            (Self::Integer(cells), Value::Integer(number)) => {
                // No count of bytes or packets reaches half of 2^64.
                cells.append_option(number.map(|number| i64::try_from(number).unwrap_or(i64::MAX)));
                0
            }
            (Self::Boolean(cells), Value::Boolean(flag)) => {
                cells.append_option(flag);
                0
            }
            (Self::Time(cells), Value::Time(time)) => {
                cells.append_value(time.0);
                0
            }
            (Self::Date(cells), Value::Date(date)) => {
                cells.append_option(date.map(|date| date.milliseconds()));
                0
            }
            (Self::List(cells), Value::List(texts)) => {
                texts.iter().for_each(|text| cells.values().append_value(text));
                cells.append(true);
                texts.iter().map(|text| text.len()).sum()
            }
            // A column has one kind; a cell of another would show as a column that is too short.
            _ => 0,
        }
    }

    fn finish(&mut self) -> ArrayRef {
        match self {
            Self::Text(cells) => Arc::new(cells.finish()),
            Self::Integer(cells) => Arc::new(cells.finish()),
            Self::Boolean(cells) => Arc::new(cells.finish()),
            Self::Time(cells) => Arc::new(cells.finish()),
            Self::Date(cells) => Arc::new(cells.finish()),
            Self::List(cells) => Arc::new(cells.finish()),
        }
    }
}
