// CRC-32 (IEEE 802.3, low bit first) by one byte.
//
//   crc_o = crc_i after data_i; the checksum of a message is ~crc from ~0, and a message followed by its checksum, low
//   byte first, leaves 32'hDEBB20E3
// Combinational. Golden function: zlib.crc32.

module crc32_step (
  input  logic [31:0] crc_i,
  input  logic [7:0]  data_i,
  output logic [31:0] crc_o
);

  always_comb begin
    crc_o = crc_i ^ {24'd0, data_i};
    for (int unsigned i = 0; i < 8; i++) begin
      crc_o = {1'b0, crc_o[31:1]} ^ (crc_o[0] ? 32'hEDB88320 : 32'd0);
    end
  end

endmodule
