//! Object identifiers, as the content of their DER.

/// id-data, 1.2.840.113549.1.7.1
pub(crate) const DATA: &[u8] = b"\x2a\x86\x48\x86\xf7\x0d\x01\x07\x01";
/// id-signedData, 1.2.840.113549.1.7.2
pub(crate) const SIGNED_DATA: &[u8] = b"\x2a\x86\x48\x86\xf7\x0d\x01\x07\x02";
/// id-ct-TSTInfo, 1.2.840.113549.1.9.16.1.4
pub(crate) const TST_INFO: &[u8] = b"\x2a\x86\x48\x86\xf7\x0d\x01\x09\x10\x01\x04";
/// id-contentType, 1.2.840.113549.1.9.3
pub(crate) const CONTENT_TYPE: &[u8] = b"\x2a\x86\x48\x86\xf7\x0d\x01\x09\x03";
/// id-messageDigest, 1.2.840.113549.1.9.4
pub(crate) const MESSAGE_DIGEST: &[u8] = b"\x2a\x86\x48\x86\xf7\x0d\x01\x09\x04";
/// id-aa-timeStampToken, 1.2.840.113549.1.9.16.2.14
pub(crate) const TIMESTAMP_TOKEN: &[u8] = b"\x2a\x86\x48\x86\xf7\x0d\x01\x09\x10\x02\x0e";
/// Apple's list of cdhashes as a property list, 1.2.840.113635.100.9.1
pub(crate) const CDHASHES: &[u8] = b"\x2a\x86\x48\x86\xf7\x63\x64\x09\x01";
/// Apple's list of whole code-directory hashes, 1.2.840.113635.100.9.2
pub(crate) const CDHASHES_2: &[u8] = b"\x2a\x86\x48\x86\xf7\x63\x64\x09\x02";

/// SHA-1, 1.3.14.3.2.26
pub(crate) const SHA1: &[u8] = b"\x2b\x0e\x03\x02\x1a";
/// SHA-256, 2.16.840.1.101.3.4.2.1
pub(crate) const SHA256: &[u8] = b"\x60\x86\x48\x01\x65\x03\x04\x02\x01";
/// SHA-384, 2.16.840.1.101.3.4.2.2
pub(crate) const SHA384: &[u8] = b"\x60\x86\x48\x01\x65\x03\x04\x02\x02";
/// SHA-512, 2.16.840.1.101.3.4.2.3
pub(crate) const SHA512: &[u8] = b"\x60\x86\x48\x01\x65\x03\x04\x02\x03";

/// rsaEncryption, 1.2.840.113549.1.1.1
pub(crate) const RSA: &[u8] = b"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01";
/// sha1WithRSAEncryption, 1.2.840.113549.1.1.5
pub(crate) const RSA_SHA1: &[u8] = b"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x05";
/// sha256WithRSAEncryption, 1.2.840.113549.1.1.11
pub(crate) const RSA_SHA256: &[u8] = b"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0b";
/// sha384WithRSAEncryption, 1.2.840.113549.1.1.12
pub(crate) const RSA_SHA384: &[u8] = b"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0c";
/// sha512WithRSAEncryption, 1.2.840.113549.1.1.13
pub(crate) const RSA_SHA512: &[u8] = b"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0d";
/// id-ecPublicKey, 1.2.840.10045.2.1
pub(crate) const EC: &[u8] = b"\x2a\x86\x48\xce\x3d\x02\x01";
/// secp256r1, 1.2.840.10045.3.1.7
pub(crate) const P256: &[u8] = b"\x2a\x86\x48\xce\x3d\x03\x01\x07";
/// secp384r1, 1.3.132.0.34
pub(crate) const P384: &[u8] = b"\x2b\x81\x04\x00\x22";
/// ecdsa-with-SHA256, 1.2.840.10045.4.3.2
pub(crate) const ECDSA_SHA256: &[u8] = b"\x2a\x86\x48\xce\x3d\x04\x03\x02";
/// ecdsa-with-SHA384, 1.2.840.10045.4.3.3
pub(crate) const ECDSA_SHA384: &[u8] = b"\x2a\x86\x48\xce\x3d\x04\x03\x03";

/// commonName, 2.5.4.3
pub(crate) const COMMON_NAME: &[u8] = b"\x55\x04\x03";
/// organizationName, 2.5.4.10
pub(crate) const ORGANIZATION: &[u8] = b"\x55\x04\x0a";
/// organizationalUnitName, 2.5.4.11
pub(crate) const ORGANIZATIONAL_UNIT: &[u8] = b"\x55\x04\x0b";

/// subjectKeyIdentifier, 2.5.29.14
pub(crate) const SUBJECT_KEY_ID: &[u8] = b"\x55\x1d\x0e";
/// keyUsage, 2.5.29.15
pub(crate) const KEY_USAGE: &[u8] = b"\x55\x1d\x0f";
/// subjectAltName, 2.5.29.17
pub(crate) const SUBJECT_ALT_NAME: &[u8] = b"\x55\x1d\x11";
/// basicConstraints, 2.5.29.19
pub(crate) const BASIC_CONSTRAINTS: &[u8] = b"\x55\x1d\x13";
/// certificatePolicies, 2.5.29.32
pub(crate) const CERTIFICATE_POLICIES: &[u8] = b"\x55\x1d\x20";
/// extKeyUsage, 2.5.29.37
pub(crate) const EXTENDED_KEY_USAGE: &[u8] = b"\x55\x1d\x25";
/// id-kp-codeSigning, 1.3.6.1.5.5.7.3.3
pub(crate) const CODE_SIGNING: &[u8] = b"\x2b\x06\x01\x05\x05\x07\x03\x03";
/// id-kp-timeStamping, 1.3.6.1.5.5.7.3.8
pub(crate) const TIME_STAMPING: &[u8] = b"\x2b\x06\x01\x05\x05\x07\x03\x08";

/// The arc of Apple's certificate extensions, 1.2.840.113635.100.6
pub(crate) const APPLE_EXTENSION_ARC: &[u8] = b"\x2a\x86\x48\x86\xf7\x63\x64\x06";
/// Apple Development (iOS), 1.2.840.113635.100.6.1.2
pub(crate) const APPLE_DEVELOPMENT: &[u8] = b"\x2a\x86\x48\x86\xf7\x63\x64\x06\x01\x02";
/// iPhone Distribution, 1.2.840.113635.100.6.1.4
pub(crate) const IPHONE_DISTRIBUTION: &[u8] = b"\x2a\x86\x48\x86\xf7\x63\x64\x06\x01\x04";
/// Mac App Store submission, 1.2.840.113635.100.6.1.7
pub(crate) const MAC_SUBMISSION: &[u8] = b"\x2a\x86\x48\x86\xf7\x63\x64\x06\x01\x07";
/// Code of the Mac App Store, 1.2.840.113635.100.6.1.9
pub(crate) const MAC_APP_STORE: &[u8] = b"\x2a\x86\x48\x86\xf7\x63\x64\x06\x01\x09";
/// Mac Development, 1.2.840.113635.100.6.1.12
pub(crate) const MAC_DEVELOPMENT: &[u8] = b"\x2a\x86\x48\x86\xf7\x63\x64\x06\x01\x0c";
/// Developer ID Application, 1.2.840.113635.100.6.1.13
pub(crate) const DEVELOPER_ID: &[u8] = b"\x2a\x86\x48\x86\xf7\x63\x64\x06\x01\x0d";
/// Code of TestFlight, 1.2.840.113635.100.6.1.25.1
pub(crate) const TESTFLIGHT: &[u8] = b"\x2a\x86\x48\x86\xf7\x63\x64\x06\x01\x19\x01";
/// The Developer ID certification authority, 1.2.840.113635.100.6.2.6
pub(crate) const DEVELOPER_ID_AUTHORITY: &[u8] = b"\x2a\x86\x48\x86\xf7\x63\x64\x06\x02\x06";
