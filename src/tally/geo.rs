//! Databases of the user's that say which autonomous system or country an address belongs to.
//!
//! Source: MaxMind DB file format 2.0, with the fields of GeoLite2-ASN and GeoLite2-Country; other databases with the same
//! fields do as well. Needs the cargo feature `geo`.

use std::net::IpAddr;
use std::path::Path;

use crate::error::{Error, Result};

#[cfg(feature = "geo")]
pub use with_database::Geo;
#[cfg(not(feature = "geo"))]
pub use without_database::Geo;

#[cfg(feature = "geo")]
mod with_database {
    use std::fmt;
    use std::sync::Arc;

    use maxminddb::{Reader, geoip2};

    use super::{Error, IpAddr, Path, Result};

    /// A database in memory.
    #[derive(Clone)]
    pub struct Geo(Arc<Reader<Vec<u8>>>);

    impl Geo {
        /// Reads the database at `path`; `option` is what asked for it.
        ///
        /// # Errors
        /// When it cannot be read, or is no MaxMind database.
        pub fn load(path: &Path, _option: &str) -> Result<Self> {
            let reader = Reader::open_readfile(path);
            let reader = reader.map_err(|error| Error::file(path, format!("no MaxMind database: {error}")))?;
            Ok(Self(Arc::new(reader)))
        }

        /// The autonomous system of `address`, for example `AS64500 Example Net`; `None` when it is not listed.
        #[must_use]
        pub fn system(&self, address: IpAddr) -> Option<String> {
            let found: geoip2::Asn<'_> = self.0.lookup(address).ok()?.decode().ok()??;
            let number = found.autonomous_system_number?;
            let name = found.autonomous_system_organization.map(|name| format!(" {name}")).unwrap_or_default();
            Some(format!("AS{number}{name}"))
        }

        /// The country of `address` as its ISO 3166-1 code; `None` when it is not listed.
        #[must_use]
        pub fn country(&self, address: IpAddr) -> Option<String> {
            let found: geoip2::Country<'_> = self.0.lookup(address).ok()?.decode().ok()??;
            found.country.iso_code.or(found.registered_country.iso_code).map(str::to_owned)
        }
    }

    impl fmt::Debug for Geo {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            let metadata = self.0.metadata();
            write!(f, "{} of {}", metadata.database_type, metadata.build_epoch)
        }
    }
}

#[cfg(not(feature = "geo"))]
mod without_database {
    use std::convert::Infallible;

    use super::{Error, IpAddr, Path, Result};

    /// Never there: this build reads no databases.
    #[derive(Clone, Debug)]
    pub struct Geo(Infallible);

    impl Geo {
        /// Says what is missing.
        ///
        /// # Errors
        /// Always.
        pub fn load(_path: &Path, option: &str) -> Result<Self> {
            Err(Error::usage(option, "this program was built without the feature `geo`, which reads MaxMind databases"))
        }

        /// The autonomous system of `address`.
        #[must_use]
        pub fn system(&self, _address: IpAddr) -> Option<String> {
            match self.0 {}
        }

        /// The country of `address`.
        #[must_use]
        pub fn country(&self, _address: IpAddr) -> Option<String> {
            match self.0 {}
        }
    }
}
