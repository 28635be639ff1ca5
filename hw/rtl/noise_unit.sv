// Noise for stochastic rounding: 16 bits per lane from a counter-based hash.
//
//   noise[l] = mix32(mix32(position ^ key) ^ {channel, channel}) >> 16,  channel = ch0 + l
//
// mix32 is cut in two halves of two to three additions each; the last exclusive or of the second hash
// leaves its upper half as it is. Registers move only behind `valid_i`. Without `draws_i` noise is one half, for nearest rounding.
// Latency 4 cycles, throughput one vector per cycle. Golden: algo/arithmetic.py noise16().

module noise_unit #(
  parameter int unsigned G = 16  // lanes
) (
  input  logic            clk_i,
  input  logic            rst_ni,
  input  logic            draws_i,
  input  logic            valid_i,
  input  logic [31:0]     position_i,
  input  logic [31:0]     key_i,
  input  logic [15:0]     ch0_i,
  output logic [G*16-1:0] noise_o
);

  function automatic logic [31:0] mix_first(logic [31:0] x);
    logic [31:0] sum;
    sum = ~x + (x << 15);
    sum = sum ^ (sum >> 12);
    return sum + (sum << 2);
  endfunction

  // Two adders, which begin where something is added: as one sum of three they would be carry-save adders and an adder.
  function automatic logic [31:0] mix_second(logic [31:0] x);
    logic [31:0] folded;
    logic [28:0] by9;
    folded = x ^ (x >> 4);
    by9    = folded[31:3] + folded[28:0];
    return {by9[28:8] + folded[20:0], by9[7:0], folded[2:0]};
  endfunction

  logic [2:0]  valid_q;
  logic [31:0] first_q, second_q, vector_hash;
  logic [31:0] lane_q [G];
  logic [G*16-1:0] channel_q;  // the instruction's, so they stand for cycles before its first vector

  assign vector_hash = second_q ^ (second_q >> 16);

  always_ff @(posedge clk_i) begin
    if (!rst_ni) valid_q <= '0;
    else valid_q <= {valid_q[1:0], valid_i};
  end

  always_ff @(posedge clk_i) begin
    for (int unsigned l = 0; l < G; l++) channel_q[l*16+:16] <= ch0_i + 16'(l);
    if (valid_i) first_q <= mix_first(position_i ^ key_i);
    if (valid_q[0]) second_q <= mix_second(first_q);
    if (valid_q[1]) begin
      for (int unsigned l = 0; l < G; l++) begin
        lane_q[l] <= mix_first(vector_hash ^ {2{channel_q[l*16+:16]}});
      end
    end
    if (!draws_i) begin
      noise_o <= {G{16'h8000}};
    end else if (valid_q[2]) begin
      for (int unsigned l = 0; l < G; l++) noise_o[l*16+:16] <= 16'(mix_second(lane_q[l]) >> 16);
    end
  end

endmodule
