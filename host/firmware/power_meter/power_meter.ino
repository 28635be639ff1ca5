// Power meter with an INA226 or INA228: sends every conversion over USB or UART in joulegrad's line protocol.
//
// For any board with an Arduino core and I2C (RP2040, SAMD, ESP32, AVR). The page of the protocol is ../README.md. Rows
// hold registers as they are read, in hexadecimal: nothing is divided or rounded here. A row that does not fit into the
// transmit buffer is dropped, and its number is missing.

#include <Arduino.h>
#include <Wire.h>

// What to change for your board. The shunt's tolerance goes into every joule's uncertainty.
const uint8_t I2C_ADDRESS = 0x40;
const uint32_t I2C_HZ = 400000;
const uint32_t BAUD = 921600;          // boards with native USB ignore it
const uint32_t SHUNT_UOHM = 10000;     // microohms: 10000 is R010
const uint32_t SHUNT_PPM = 10000;      // tolerance: 10000 ppm is 1 %
const uint8_t MARK_PIN = 2;            // its edges are counted; wire it to a pin of the board that is measured
const char SERIAL_NUMBER[] = "1";      // give each of your meters its own
const char FIRMWARE[] = "1";

enum Chip { NO_CHIP, INA226, INA228 };

const uint16_t TEXAS_INSTRUMENTS = 0x5449;
const uint32_t CYCLE_226_US = 2 * 588;   // shunt, then bus, 588 us each, no averaging
const uint32_t CYCLE_228_US = 2 * 540;   // shunt, then bus, 540 us each, no averaging

Chip chip = NO_CHIP;
uint32_t cycle_us = 0;         // as the data sheet has it
uint32_t cycle_q8 = 0;         // as this chip has it, in 1/256 us: its clock may be 10 % off
uint32_t sequence = 0;
uint32_t ready_us = 0;         // when the last conversion became ready
uint32_t looked_us = 0;        // when the chip last had nothing new
bool have_last = false;
bool was_on_time = false;
bool bounded = false;
volatile uint8_t edges = 0;

char line[256];
uint8_t length = 0;
uint16_t crc = 0xFFFF;

// CRC-16/CCITT-FALSE, four bits at a time.
const uint16_t CRC_STEP[16] = {0x0000, 0x1021, 0x2042, 0x3063, 0x4084, 0x50A5, 0x60C6, 0x70E7,
                               0x8108, 0x9129, 0xA14A, 0xB16B, 0xC18C, 0xD1AD, 0xE1CE, 0xF1EF};

void begin_line() {
  length = 0;
  crc = 0xFFFF;
}

void put(char c) {
  if (length >= sizeof(line) - 1) return;
  line[length++] = c;
  crc = (uint16_t)(crc << 4) ^ CRC_STEP[(uint8_t)(crc >> 12) ^ ((uint8_t)c >> 4)];
  crc = (uint16_t)(crc << 4) ^ CRC_STEP[(uint8_t)(crc >> 12) ^ ((uint8_t)c & 15)];
}

void put_text(const char *text) {
  while (*text) put(*text++);
}

void put_hex(uint64_t value, uint8_t digits) {
  while (digits--) put("0123456789ABCDEF"[(uint8_t)(value >> (4 * digits)) & 15]);
}

void put_decimal(uint64_t value) {
  char digits[20];
  uint8_t n = 0;
  do {
    digits[n++] = '0' + (uint8_t)(value % 10);
    value /= 10;
  } while (value);
  while (n) put(digits[--n]);
}

// Closes the line with its checksum. A row must find room for all of itself; a header waits for it.
void end_line(bool may_wait) {
  uint16_t sum = crc;
  put('*');
  put_hex(sum, 4);
  put('\n');
  if (may_wait || !bounded || Serial.availableForWrite() >= (int)length) Serial.write((const uint8_t *)line, length);
}

bool read_register(uint8_t number, uint8_t bytes, uint64_t *value) {
  Wire.beginTransmission(I2C_ADDRESS);
  Wire.write(number);
  if (Wire.endTransmission(false) != 0) return false;
  if (Wire.requestFrom(I2C_ADDRESS, bytes) != bytes) return false;
  *value = 0;
  while (bytes--) *value = (*value << 8) | (uint8_t)Wire.read();
  return true;
}

bool write_register(uint8_t number, uint16_t value) {
  Wire.beginTransmission(I2C_ADDRESS);
  Wire.write(number);
  Wire.write((uint8_t)(value >> 8));
  Wire.write((uint8_t)(value & 255));
  return Wire.endTransmission() == 0;
}

bool start_226() {
  uint64_t maker, die;
  if (!read_register(0xFE, 2, &maker) || !read_register(0xFF, 2, &die)) return false;
  if (maker != TEXAS_INSTRUMENTS || die != 0x2260) return false;
  // No averaging, 588 us for bus (011) and shunt (011), continuous (111).
  if (!write_register(0x00, 0x4000 | (3 << 6) | (3 << 3) | 7)) return false;
  cycle_us = CYCLE_226_US;
  return true;
}

bool start_228() {
  uint64_t maker, device;
  if (!read_register(0x3E, 2, &maker) || !read_register(0x3F, 2, &device)) return false;
  if (maker != TEXAS_INSTRUMENTS || (device >> 4) != 0x228) return false;
  if (!write_register(0x00, 0x4000)) return false;              // accumulators to 0, range 163.84 mV
  if (!write_register(0x02, 4096)) return false;                // current step = 312.5 nV / shunt
  if (!write_register(0x0B, 0x8001)) return false;              // "conversion ready" stays until it is read
  // Continuous shunt and bus (1011), 540 us (100) each, no averaging.
  if (!write_register(0x01, 0xB000 | (4 << 9) | (4 << 6) | (4 << 3))) return false;
  cycle_us = CYCLE_228_US;
  return true;
}

void send_header() {
  begin_line();
  put_text("#joulegrad 1 chip=");
  put_text(chip == INA228 ? "INA228" : "INA226");
  put_text(" firmware=");
  put_text(FIRMWARE);
  put_text(" serial=");
  put_text(SERIAL_NUMBER);
  put_text(" shunt_uohm=");
  put_decimal(SHUNT_UOHM);
  put_text(" shunt_ppm=");
  put_decimal(SHUNT_PPM);
  put_text(" cycle_us=");
  put_decimal(cycle_us);
  put_text(" time_bits=32 columns=");
  if (chip == INA228) {
    put_text("bus:V:1953125e-10:u5,shunt:S:3125e-10:s5,energy:J:");
    put_decimal(16000000000000ULL / SHUNT_UOHM);                // 16 * 3.2 * current step
    put_text("e-12:u10");
  } else {
    put_text("bus:V:1250e-6:u4,shunt:S:2500e-9:s4");
  }
  put_text(",pins:1:1:u1");
  end_line(true);
}

// Counts a conversion, and those before it that nobody was there to read.
//
// A look shortly before that found nothing new says when the conversion became ready. Without one it may have been ready for
// nearly a cycle, and counts as the next one until a whole cycle has passed since. If that is one too few, the next one that
// is read on time makes up for it; one too many would stay.
void count(uint32_t now_us) {
  uint32_t looked_ago_us = now_us - looked_us;
  bool on_time = looked_ago_us < cycle_us / 4;
  uint32_t at_us = on_time ? now_us - looked_ago_us / 2 : now_us;
  uint64_t since_q8 = (uint64_t)(uint32_t)(at_us - ready_us) << 8;
  uint32_t passed = have_last ? (uint32_t)((since_q8 + (on_time ? cycle_q8 / 2 : 0)) / cycle_q8) : 1;
  if (!on_time && passed > 1 && since_q8 - (uint64_t)passed * cycle_q8 < cycle_q8 / 8) passed--;
  if (passed < 1) passed = 1;
  if (have_last && on_time && was_on_time && passed == 1) cycle_q8 += ((int32_t)since_q8 - (int32_t)cycle_q8) / 256;
  uint32_t expected_us = ready_us + (uint32_t)(((uint64_t)passed * cycle_q8) >> 8);
  bool is_past = have_last && (int32_t)(now_us - expected_us) >= 0;
  ready_us = !on_time && is_past ? expected_us : at_us;
  sequence += passed;
  have_last = true;
  was_on_time = on_time;
}

// Whether the chip's flag says that a conversion is there; reading it clears it.
bool is_ready(uint8_t number, uint64_t flag) {
  uint64_t flags;
  if (!read_register(number, 2, &flags)) return false;
  if (flags & flag) return true;
  looked_us = micros();
  return false;
}

void send_row(uint32_t now_us, const uint64_t *values, const uint8_t *digits, uint8_t columns) {
  begin_line();
  put_hex(sequence, 8);
  put(',');
  put_hex(now_us, 8);
  for (uint8_t i = 0; i < columns; i++) {
    put(',');
    put_hex(values[i], digits[i]);
  }
  put(',');
  put_hex(edges & 15, 1);
  end_line(false);
}

void measure_226() {
  uint64_t bus, shunt;
  if (!is_ready(0x06, 0x0008)) return;
  uint32_t now_us = micros();
  count(now_us);
  if (!read_register(0x02, 2, &bus) || !read_register(0x01, 2, &shunt)) return;
  const uint64_t values[] = {bus, shunt};
  const uint8_t digits[] = {4, 4};
  send_row(now_us, values, digits, 2);
}

void measure_228() {
  uint64_t bus, shunt, energy;
  if (!is_ready(0x0B, 0x0002)) return;
  uint32_t now_us = micros();
  count(now_us);
  if (!read_register(0x05, 3, &bus) || !read_register(0x04, 3, &shunt) || !read_register(0x09, 5, &energy)) return;
  const uint64_t values[] = {bus >> 4, shunt >> 4, energy};           // 20 bits stand at the top of 24
  const uint8_t digits[] = {5, 5, 10};
  send_row(now_us, values, digits, 3);
}

void on_edge() { edges = edges + 1; }

void listen() {
  while (Serial.available() > 0) {
    int c = Serial.read();
    if (c == '?') send_header();
    if (c == 'm') on_edge();
  }
}

void find_chip() {
  if (start_226()) {
    chip = INA226;
  } else if (start_228()) {
    chip = INA228;
  } else {
    static const char complaint[] = "# no INA226 or INA228 answers on the I2C bus\n";
    Serial.write((const uint8_t *)complaint, sizeof(complaint) - 1);
    delay(1000);
    return;
  }
  cycle_q8 = cycle_us << 8;
  send_header();
}

void setup() {
  Serial.begin(BAUD);
  pinMode(MARK_PIN, INPUT);
  attachInterrupt(digitalPinToInterrupt(MARK_PIN), on_edge, CHANGE);
  Wire.begin();
  Wire.setClock(I2C_HZ);
  bounded = Serial.availableForWrite() > 0;   // cores that cannot tell say 0 always
}

void loop() {
  if (chip == NO_CHIP) {
    find_chip();
    return;
  }
  listen();
  if (chip == INA228) measure_228();
  else measure_226();
}
