// Runs a sketch against an INA226 or INA228 that plays a known load: play_chip CHIP SECONDS START_US EDGE_US STALL_US CLOCK BUSY_US.
//
// Time is virtual and passes with every byte on the I2C bus. Conversion number k has 12 V and a shunt voltage that
// follows from k, so that a row tells which conversion it came from. The transmit buffer drains at the line's speed; with
// STALL_US the host reads nothing for so long, once, in the middle. What the sketch read but could not send is counted.
// The chip's conversions take CLOCK times as long as its data sheet says; after 0.1 s the controller does something
// else for BUSY_US every 9.1 ms.
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "Arduino.h"
#include "Wire.h"

void setup();
void loop();

namespace {
bool is_228 = false;
double now_us = 0, end_us = 0, start_us = 0, edge_us = 0, next_edge_us = 0, stall_us = 0;
double clock_share = 1, busy_us = 0, next_busy_us = 100e3;
void (*edge_handler)() = nullptr;

const double BUFFER = 512, BYTES_PER_US = 0.0921600;
double waiting = 0, drained_at_us = 0;
const char *request = "?";

uint8_t address_pointer = 0, written = 0;
uint16_t config_226 = 0x4127, config_228 = 0xFB68;
uint16_t pending = 0;
uint64_t answer = 0;
int answer_bytes = 0;
long conversion_read = 0;
double configured_us = 0;

bool stalled() { return stall_us > 0 && now_us > end_us / 2 && now_us < end_us / 2 + stall_us; }

void pass(double us) {
  now_us += us;
  if (!stalled()) waiting -= (now_us - drained_at_us) * BYTES_PER_US;
  if (waiting < 0) waiting = 0;
  drained_at_us = now_us;
  while (edge_us > 0 && now_us >= next_edge_us) {
    next_edge_us += edge_us;
    if (edge_handler) edge_handler();
  }
}

double cycle_us() { return clock_share * (is_228 ? 1080 : 1176); }
long conversions() { return (long)((now_us - configured_us) / cycle_us()); }
long shunt_of(long k) { return (is_228 ? 20000 : 1000) + (k * 7) % 500 - (k % 5 == 0 ? (is_228 ? 30000 : 2000) : 0); }

uint64_t energy_of(long k) {
  return ((1ULL << 40) - 1000 + 3 * (uint64_t)k) & ((1ULL << 40) - 1);
}

uint64_t load_register(uint8_t number) {
  long k = conversions();
  bool ready = k > conversion_read;
  if (!is_228) {
    switch (number) {
      case 0xFE: return 0x5449;
      case 0xFF: return 0x2260;
      case 0x02: return 9600;
      case 0x01: return (uint16_t)shunt_of(k);
      case 0x06: conversion_read = k; return ready ? 0x0008 : 0;
    }
  } else {
    switch (number) {
      case 0x3E: return 0x5449;
      case 0x3F: return 0x2281;
      case 0x05: return 61440ULL << 4;
      case 0x04: return ((uint64_t)(shunt_of(k) & 0xFFFFF)) << 4;
      case 0x09: return energy_of(k);
      case 0x0B: conversion_read = k; return ready ? 0x8003 : 0x8001;
    }
  }
  return 0;
}
}  // namespace

SerialPort Serial;
TwoWire Wire;

uint32_t micros() { return (uint32_t)(uint64_t)(start_us + now_us); }
void delay(unsigned long ms) { pass(1000.0 * ms); }
void pinMode(uint8_t, uint8_t) {}
void attachInterrupt(uint8_t, void (*handler)(), int) { edge_handler = handler; }

void SerialPort::begin(unsigned long) {}
int SerialPort::available() {
  if (busy_us > 0 && now_us >= next_busy_us) {
    next_busy_us = now_us + 9100;
    pass(busy_us);
  }
  return *request ? 1 : 0;
}
int SerialPort::read() { return *request ? *request++ : -1; }
int SerialPort::availableForWrite() { return (int)(BUFFER - waiting); }
size_t SerialPort::write(const uint8_t *data, size_t size) {
  waiting += (double)size;
  if (waiting > BUFFER) pass((waiting - BUFFER) / BYTES_PER_US);
  return fwrite(data, 1, size, stdout);
}

void TwoWire::begin() {}
void TwoWire::setClock(uint32_t) {}
void TwoWire::beginTransmission(uint8_t) { written = 0; }
size_t TwoWire::write(uint8_t value) {
  if (written == 0) address_pointer = value;
  else pending = (uint16_t)(pending << 8 | value);
  written++;
  pass(22.5);
  return 1;
}
uint8_t TwoWire::endTransmission(bool) {
  pass(22.5);
  if (written == 3) {
    (address_pointer == 0x01 ? config_228 : config_226) = pending;
    configured_us = now_us;
    conversion_read = 0;
  }
  return 0;
}
uint8_t TwoWire::requestFrom(uint8_t, uint8_t count) {
  pass(22.5 * (count + 1));
  answer = load_register(address_pointer);
  answer_bytes = count;
  return count;
}
int TwoWire::read() { return answer_bytes > 0 ? (int)((answer >> (8 * --answer_bytes)) & 255) : -1; }

int main(int count, char **arguments) {
  if (count != 8) return 2;
  is_228 = strcmp(arguments[1], "INA228") == 0;
  end_us = 1e6 * atof(arguments[2]);
  start_us = atof(arguments[3]);
  edge_us = next_edge_us = atof(arguments[4]);
  stall_us = atof(arguments[5]);
  clock_share = atof(arguments[6]);
  busy_us = atof(arguments[7]);
  setup();
  while (now_us < end_us) loop();
  fprintf(stderr, "%ld %04X\n", conversions(), is_228 ? config_228 : config_226);
  return 0;
}
