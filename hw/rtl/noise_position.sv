// Logical position of each vector, the first key of its noise.
//
//   position = (slot + image) * px_total + px0 + pixel      (32 bits)
//
// The product is made by additions, two bits of `slot` per cycle: `ready_o` at most 6 cycles after
// `start_i`. Then `position_o` is that of the next vector; `step_i` goes on, `image_last_i` to the next
// image. Golden: hw/golden_vector.py _noise().

module noise_position (
  input  logic        clk_i,
  input  logic        rst_ni,
  input  logic        start_i,
  input  logic [11:0] slot_i,
  input  logic [23:0] px0_i,
  input  logic [23:0] px_total_i,
  output logic        ready_o,
  input  logic        step_i,
  input  logic        image_last_i,
  output logic [31:0] position_o
);

  logic [11:0] slot_q;
  logic [23:0] px_total_q;
  logic [31:0] multiple_q, image_q, image_next;  // image_q: position of the image's first vector

  assign ready_o    = slot_q == '0;
  assign image_next = image_q + (ready_o ? 32'(px_total_q) : (slot_q[0] ? multiple_q : '0) + (slot_q[1] ? multiple_q << 1 : '0));

  always_ff @(posedge clk_i) begin
    if (!rst_ni) slot_q <= '0;
    else if (start_i) slot_q <= slot_i;
    else if (!ready_o) slot_q <= slot_q >> 2;
  end

  always_ff @(posedge clk_i) begin
    if (start_i) begin
      px_total_q <= px_total_i;
      multiple_q <= 32'(px_total_i);
      image_q    <= 32'(px0_i);
      position_o <= 32'(px0_i);
    end else if (!ready_o) begin
      multiple_q <= multiple_q << 2;
      image_q    <= image_next;
      position_o <= image_next;
    end else if (step_i) begin
      position_o <= image_last_i ? image_next : position_o + 1'b1;
      if (image_last_i) image_q <= image_next;
    end
  end

endmodule
