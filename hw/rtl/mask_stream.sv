// Mask bits, eight vectors of G bits to a word: unpacked from MI, packed into MO.
//
//   vector p of an image: word p / 8, bits (p % 8) G + lane; an image begins a new word, and the last
//   word of an image is filled with zeros.
//
// `in_valid_i` asks for the bits of the next vector, which stand in `in_bits_o` two cycles later.
// `out_bits_i` with `out_valid_i` are written in the next cycle when they fill a word or end an image.
// Throughput one vector per cycle both ways. Golden: hw/golden_vector.py _read_mask(), _write_mask().

module mask_stream #(
  parameter  int unsigned G = 16,   // lanes
  localparam int unsigned WordW = 8 * G
) (
  input  logic             clk_i,
  input  logic             rst_ni,
  input  logic             start_i,  // of an instruction, with its first words
  input  logic [15:0]      mi_base_i,
  input  logic [15:0]      mo_base_i,

  input  logic             in_valid_i,
  input  logic             in_image_last_i,
  output logic [G-1:0]     in_bits_o,
  output logic             mi_ren_o,
  output logic [15:0]      mi_addr_o,
  input  logic [WordW-1:0] mi_rdata_i,

  input  logic             out_valid_i,
  input  logic             out_image_last_i,
  input  logic [G-1:0]     out_bits_i,
  output logic             mo_wen_o,
  output logic [15:0]      mo_waddr_o,
  output logic [WordW-1:0] mo_wdata_o
);

  logic [2:0]       in_slot_q, out_slot_q;
  logic             in_valid_q, in_fresh_q;
  logic [WordW-1:0] in_word_q, in_word;

  assign mi_ren_o = in_valid_i && in_slot_q == '0;
  assign in_word  = in_fresh_q ? mi_rdata_i : in_word_q;

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      in_valid_q <= 1'b0;
      mo_wen_o   <= 1'b0;
      in_slot_q  <= '0;
      out_slot_q <= '0;
    end else begin
      in_valid_q <= in_valid_i;
      mo_wen_o   <= out_valid_i && (out_image_last_i || out_slot_q == 3'd7);
      if (in_valid_i) in_slot_q <= in_image_last_i ? '0 : in_slot_q + 1'b1;
      if (out_valid_i) out_slot_q <= out_image_last_i ? '0 : out_slot_q + 1'b1;
    end
  end

  always_ff @(posedge clk_i) begin
    if (in_valid_i) in_fresh_q <= mi_ren_o;
    if (in_valid_q) begin
      in_bits_o <= in_word[G-1:0];
      in_word_q <= in_word >> G;
    end
    if (start_i) mi_addr_o <= mi_base_i;
    else if (mi_ren_o) mi_addr_o <= mi_addr_o + 1'b1;
    if (start_i) mo_waddr_o <= mo_base_i;
    else if (mo_wen_o) mo_waddr_o <= mo_waddr_o + 1'b1;
    if (out_valid_i) begin
      if (out_slot_q == '0) mo_wdata_o <= WordW'(out_bits_i);
      else mo_wdata_o[out_slot_q*G+:G] <= out_bits_i;
    end
  end

endmodule
