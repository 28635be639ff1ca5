// A stand-in for the Arduino core, for tests on a PC: virtual time, a serial port on standard input and output.
#pragma once
#include <cstddef>
#include <cstdint>

#define INPUT 0
#define CHANGE 1
#define digitalPinToInterrupt(pin) (pin)

uint32_t micros();
void delay(unsigned long ms);
void pinMode(uint8_t pin, uint8_t mode);
void attachInterrupt(uint8_t interrupt, void (*handler)(), int mode);

struct SerialPort {
  void begin(unsigned long baud);
  int available();
  int read();
  int availableForWrite();
  size_t write(const uint8_t *data, size_t size);
};
extern SerialPort Serial;
