/*
 * The peer on libcrypto: does the jobs of the benchmark with OpenSSL's own ASN.1, PKCS#12 and CMS code, in one thread,
 * on the files that bench/inputs.ts makes. bench/native.ts compiles it and runs it once for each job and round.
 *
 *   libcrypto OPERATION JOB MILLISECONDS FILE...     prints {"job", "impl", "usPerOp", "version"}
 *
 *   walk         BER                             ASN1_get_object on every header: the bound of the tape
 *   walk-pack    PACK                            the same for every file of a pack, one after another
 *   certificate  DER                             d2i_X509, then subject, issuer, serial, notAfter, public key
 *   pfx          PFX                             d2i_PKCS12 + PKCS12_parse, which checks the MAC; password "mailseal"
 *   pfx-pack     PACK                            the same for every file of a pack, one after another
 *   sign         MAIL CERT.pem KEY.pem CA.pem    CMS_sign + SMIME_write_CMS, clear-signed, SHA-256
 *   verify       MAIL CA.pem CONTENT             SMIME_read_CMS + CMS_verify with the path to the CA
 *   encrypt      MAIL CERT.pem KEY.pem [PACK]    CMS_encrypt + SMIME_write_CMS, AES-256-CBC; for all certificates of a pack
 *   encrypt-gcm  MAIL CERT.pem KEY.pem           the same, AES-256-GCM
 *   decrypt      MAIL CERT.pem KEY.pem CONTENT   SMIME_read_CMS + CMS_decrypt
 *
 * Every operation is checked once before it is timed: what was verified or decrypted must be CONTENT, and what was
 * signed or encrypted must verify or decrypt. Keys, certificates and the trust store are read outside the timing, and so
 * is a pack (bench/files/pack.ts); its figure is the time of one of its files.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <openssl/asn1.h>
#include <openssl/cms.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/pkcs12.h>
#include <openssl/provider.h>
#include <openssl/x509.h>

#define PASSWORD "mailseal"
/* A sample is a batch of at least this long, as in bench/measure.ts. */
#define BATCH_SECONDS 1e-3
#define MIN_SAMPLES 2
#define MAX_SAMPLES 4096

typedef struct {
  unsigned char *data;
  size_t length;
} Bytes;

typedef struct {
  Bytes input;   /* what the operation reads */
  Bytes *files;  /* of a pack */
  size_t fileCount;
  Bytes content; /* what it must give, where it gives content */
  X509 *certificate;
  EVP_PKEY *key;
  const EVP_CIPHER *cipher; /* what content is encrypted with */
  X509_STORE *trust;
  STACK_OF(X509) *recipients;
  BIO *output;   /* what the last operation wrote; the next one replaces it */
} Job;

typedef void (*Operation)(Job *job);

static void fail(const char *what) {
  fprintf(stderr, "libcrypto: %s\n", what);
  ERR_print_errors_fp(stderr);
  exit(1);
}

static Bytes readFile(const char *path) {
  FILE *file = fopen(path, "rb");
  Bytes bytes;
  if (!file) fail(path);
  fseek(file, 0, SEEK_END);
  bytes.length = (size_t)ftell(file);
  rewind(file);
  bytes.data = malloc(bytes.length);
  if (!bytes.data || fread(bytes.data, 1, bytes.length, file) != bytes.length) fail(path);
  fclose(file);
  return bytes;
}

/* Files behind their lengths, in four octets each. */
static void readPack(Job *job, const char *path) {
  Bytes pack = readFile(path);
  const unsigned char *at = pack.data, *end = pack.data + pack.length;
  job->files = malloc((pack.length / 4 + 1) * sizeof(Bytes));
  while (at < end) {
    Bytes *file = &job->files[job->fileCount++];
    file->length = (size_t)at[0] << 24 | (size_t)at[1] << 16 | (size_t)at[2] << 8 | at[3];
    file->data = (unsigned char *)at + 4;
    at += 4 + file->length;
  }
  if (at > end) fail(path);
}

static X509 *readCertificate(const char *path) {
  BIO *file = BIO_new_file(path, "r");
  X509 *certificate = file ? PEM_read_bio_X509(file, NULL, NULL, NULL) : NULL;
  if (!certificate) fail(path);
  BIO_free(file);
  return certificate;
}

static EVP_PKEY *readKey(const char *path) {
  BIO *file = BIO_new_file(path, "r");
  EVP_PKEY *key = file ? PEM_read_bio_PrivateKey(file, NULL, NULL, NULL) : NULL;
  if (!key) fail(path);
  BIO_free(file);
  return key;
}

static void setTrust(Job *job, const char *path) {
  job->trust = X509_STORE_new();
  if (!X509_STORE_add_cert(job->trust, readCertificate(path))) fail("trust store");
}

static void setIdentity(Job *job, const char *certificatePath, const char *keyPath) {
  job->certificate = readCertificate(certificatePath);
  job->key = readKey(keyPath);
  job->recipients = sk_X509_new_null();
  sk_X509_push(job->recipients, job->certificate);
}

/* In place of the one certificate, which must be among them. */
static void setRecipients(Job *job, const char *path) {
  readPack(job, path);
  job->recipients = sk_X509_new_null();
  for (size_t i = 0; i < job->fileCount; i++) {
    const unsigned char *at = job->files[i].data;
    X509 *certificate = d2i_X509(NULL, &at, (long)job->files[i].length);
    if (!certificate) fail(path);
    sk_X509_push(job->recipients, certificate);
  }
  job->fileCount = 0; /* one operation is for all of them */
}

static BIO *newOutput(Job *job) {
  BIO_free(job->output);
  job->output = BIO_new(BIO_s_mem());
  return job->output;
}

/* ---- the operations ---- */

static const unsigned char *walkIndefinite(const unsigned char *at, const unsigned char *end);

static void walkValues(const unsigned char *at, const unsigned char *end) {
  while (at < end) {
    long length;
    int tag, class;
    int form = ASN1_get_object(&at, &length, &tag, &class, end - at);
    if (form & 0x80) fail("bad header");
    if (form & 1) {
      at = walkIndefinite(at, end);
      continue;
    }
    if (form & V_ASN1_CONSTRUCTED) walkValues(at, at + length);
    at += length;
  }
}

/* Up to the end-of-contents octets; gives where they end. */
static const unsigned char *walkIndefinite(const unsigned char *at, const unsigned char *end) {
  while (end - at >= 2 && (at[0] != 0 || at[1] != 0)) {
    long length;
    int tag, class;
    int form = ASN1_get_object(&at, &length, &tag, &class, end - at);
    if (form & 0x80) fail("bad header");
    if (form & 1) {
      at = walkIndefinite(at, end);
      continue;
    }
    if (form & V_ASN1_CONSTRUCTED) walkValues(at, at + length);
    at += length;
  }
  if (end - at < 2) fail("no end-of-contents octets");
  return at + 2;
}

static void walk(Job *job) { walkValues(job->input.data, job->input.data + job->input.length); }

static void walkPack(Job *job) {
  for (size_t i = 0; i < job->fileCount; i++) walkValues(job->files[i].data, job->files[i].data + job->files[i].length);
}

static void certificate(Job *job) {
  const unsigned char *at = job->input.data;
  X509 *certificate = d2i_X509(NULL, &at, (long)job->input.length);
  if (!certificate || !X509_get_subject_name(certificate) || !X509_get_issuer_name(certificate) ||
      !X509_get0_serialNumber(certificate) || !X509_get0_notAfter(certificate) || !X509_get0_pubkey(certificate))
    fail("certificate");
  X509_free(certificate);
}

static void openPfx(Bytes file) {
  const unsigned char *at = file.data;
  PKCS12 *pfx = d2i_PKCS12(NULL, &at, (long)file.length);
  EVP_PKEY *key = NULL;
  X509 *certificate = NULL;
  STACK_OF(X509) *others = NULL;
  if (!pfx || !PKCS12_parse(pfx, PASSWORD, &key, &certificate, &others) || !key || !certificate) fail("PFX");
  EVP_PKEY_free(key);
  X509_free(certificate);
  sk_X509_pop_free(others, X509_free);
  PKCS12_free(pfx);
}

static void pfx(Job *job) { openPfx(job->input); }

static void pfxPack(Job *job) {
  for (size_t i = 0; i < job->fileCount; i++) openPfx(job->files[i]);
}

/* RC2 lives there since OpenSSL 3; naming one provider switches the implicit default off. */
static void loadProviders(void) {
  if (!OSSL_PROVIDER_load(NULL, "legacy") || !OSSL_PROVIDER_load(NULL, "default")) fail("providers");
}

static void sign(Job *job) {
  const int flags = CMS_DETACHED | CMS_STREAM;
  BIO *in = BIO_new_mem_buf(job->input.data, (int)job->input.length);
  CMS_ContentInfo *cms = CMS_sign(job->certificate, job->key, NULL, in, flags);
  if (!cms || !SMIME_write_CMS(newOutput(job), cms, in, flags)) fail("sign");
  CMS_ContentInfo_free(cms);
  BIO_free(in);
}

static void verifyMail(Job *job, const unsigned char *mail, size_t length) {
  BIO *in = BIO_new_mem_buf(mail, (int)length);
  BIO *content = NULL, *out = BIO_new(BIO_s_mem());
  CMS_ContentInfo *cms = SMIME_read_CMS(in, &content);
  if (!cms || !CMS_verify(cms, NULL, job->trust, content, out, 0)) fail("verify");
  CMS_ContentInfo_free(cms);
  BIO_free(content);
  BIO_free(in);
  BIO_free(job->output);
  job->output = out;
}

static void verify(Job *job) { verifyMail(job, job->input.data, job->input.length); }

static void encrypt(Job *job) {
  BIO *in = BIO_new_mem_buf(job->input.data, (int)job->input.length);
  CMS_ContentInfo *cms = CMS_encrypt(job->recipients, in, job->cipher, CMS_STREAM);
  if (!cms || !SMIME_write_CMS(newOutput(job), cms, in, CMS_STREAM)) fail("encrypt");
  CMS_ContentInfo_free(cms);
  BIO_free(in);
}

static void decryptMail(Job *job, const unsigned char *mail, size_t length) {
  BIO *in = BIO_new_mem_buf(mail, (int)length);
  BIO *out = BIO_new(BIO_s_mem());
  CMS_ContentInfo *cms = SMIME_read_CMS(in, NULL);
  if (!cms || !CMS_decrypt(cms, job->key, job->certificate, NULL, out, 0)) fail("decrypt");
  CMS_ContentInfo_free(cms);
  BIO_free(in);
  BIO_free(job->output);
  job->output = out;
}

static void decrypt(Job *job) { decryptMail(job, job->input.data, job->input.length); }

/* ---- checks, once before the timing ---- */

static Bytes takeOutput(Job *job) {
  char *data;
  Bytes bytes;
  bytes.length = (size_t)BIO_get_mem_data(job->output, &data);
  bytes.data = malloc(bytes.length);
  memcpy(bytes.data, data, bytes.length);
  return bytes;
}

static void expectOutput(Job *job, Bytes expected) {
  char *data;
  long length = BIO_get_mem_data(job->output, &data);
  if ((size_t)length != expected.length || memcmp(data, expected.data, expected.length) != 0)
    fail("the content is not the one that was signed or encrypted");
}

static void checkContent(Job *job) { expectOutput(job, job->content); }

static void checkSigned(Job *job) {
  Bytes mail = takeOutput(job);
  verifyMail(job, mail.data, mail.length);
  expectOutput(job, job->input);
  free(mail.data);
}

static void checkEncrypted(Job *job) {
  Bytes mail = takeOutput(job);
  decryptMail(job, mail.data, mail.length);
  expectOutput(job, job->input);
  free(mail.data);
}

/* ---- timing: the median of batches, as bench/measure.ts does ---- */

static double now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

static double runBatch(Operation operation, Job *job, int count) {
  double start = now();
  for (int i = 0; i < count; i++) operation(job);
  return now() - start;
}

static int compareDoubles(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

static double medianMicroseconds(Operation operation, Job *job, double seconds) {
  static double samples[MAX_SAMPLES];
  int batch = 1, count = 0;
  double first;
  while ((first = runBatch(operation, job, batch)) < BATCH_SECONDS) batch *= 2;
  if (first > seconds) return first * 1e6; /* thousands of files: that was the whole round */
  double end = now() + seconds;
  while (count < MAX_SAMPLES && (count < MIN_SAMPLES || now() < end))
    samples[count++] = runBatch(operation, job, batch) / batch;
  qsort(samples, (size_t)count, sizeof samples[0], compareDoubles);
  return samples[count / 2] * 1e6;
}

int main(int argc, char **argv) {
  Job job = {0};
  Operation operation;
  void (*check)(Job *) = NULL;
  if (argc < 5) fail("usage: libcrypto OPERATION JOB MILLISECONDS FILE...");
  const char *name = argv[1];
  char **files = argv + 4;
  int fileCount = argc - 4;
  job.input = readFile(files[0]);

  if (strcmp(name, "walk") == 0) {
    operation = walk;
  } else if (strcmp(name, "walk-pack") == 0) {
    operation = walkPack;
    readPack(&job, files[0]);
  } else if (strcmp(name, "certificate") == 0) {
    operation = certificate;
  } else if (strcmp(name, "pfx") == 0) {
    operation = pfx;
    loadProviders();
  } else if (strcmp(name, "pfx-pack") == 0) {
    operation = pfxPack;
    readPack(&job, files[0]);
    loadProviders();
  } else if (strcmp(name, "sign") == 0 && fileCount == 4) {
    operation = sign;
    check = checkSigned;
    setIdentity(&job, files[1], files[2]);
    setTrust(&job, files[3]);
  } else if (strcmp(name, "verify") == 0 && fileCount == 3) {
    operation = verify;
    check = checkContent;
    setTrust(&job, files[1]);
    job.content = readFile(files[2]);
  } else if (strcmp(name, "encrypt") == 0 && fileCount >= 3) {
    operation = encrypt;
    job.cipher = EVP_aes_256_cbc();
    check = checkEncrypted;
    setIdentity(&job, files[1], files[2]);
    if (fileCount == 4) setRecipients(&job, files[3]);
  } else if (strcmp(name, "encrypt-gcm") == 0 && fileCount == 3) {
    operation = encrypt;
    job.cipher = EVP_aes_256_gcm();
    check = checkEncrypted;
    setIdentity(&job, files[1], files[2]);
  } else if (strcmp(name, "decrypt") == 0 && fileCount == 4) {
    operation = decrypt;
    check = checkContent;
    setIdentity(&job, files[1], files[2]);
    job.content = readFile(files[3]);
  } else {
    fail("unknown operation, or files missing");
  }

  operation(&job);
  if (check) check(&job);
  double microseconds = medianMicroseconds(operation, &job, atof(argv[3]) / 1000);
  if (job.fileCount) microseconds /= (double)job.fileCount;
  printf("{\"job\":\"%s\",\"impl\":\"libcrypto\",\"usPerOp\":%.4f,\"version\":\"%s\"}\n", argv[2],
         microseconds, OpenSSL_version(OPENSSL_VERSION_STRING));
  return 0;
}
