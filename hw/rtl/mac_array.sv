// G x G multiply-accumulate array with two dataflows; PackProducts: two int8 products per DSP, or four of few bits.
//
//   weight-stationary:  acc_data_o[c] = sum over r of row_i[r] * working[r][c]      one vector per cycle
//   output-stationary:  pe[r][c] += row_i[r] * col_i[c]; after the slot with last_i the rows of pe leave
//                       one per cycle through acc_data_o, and pe is zero again
//   with pair_i:        row_i[r] = second[r] * 2^8 + first[r]; pe[r][c] is two sums, second[r] * col_i[c] in its upper and
//                       first[r] * col_i[c] in its lower HalfBits bits. G rows of the first sums leave, then G of the second
//                       ones, pair_skip_i addresses on, all times 2^(PairADrop + PairBDrop)
//
// The next block is written behind the working one, a row (or, transposed, a column) per cycle, and takes
// its place with the slot that has swap_i. With max_i the data are ((sum + 128) << 8 | 255 - tap) of a sum
// taken as int8. Latency 4 cycles from row_i to acc_valid_o; drained rows follow a pass's last slot after
// 5 cycles, so the next pass's first slot comes G + 1 cycles behind it or later, or 2 G + 1 with pair_i.
// Golden: hw/golden_array.py.

module mac_array import joulegrad_pkg::*; #(
  parameter  int unsigned G            = 16,    // side, a multiple of 4
  parameter  bit          PackProducts = 1'b1,  // see mac_pair
  localparam int unsigned RowW         = $clog2(G),
  localparam int unsigned LaneW        = 13     // an operand of a row, or two of few bits
) (
  input  logic            clk_i,
  input  logic            rst_ni,

  // A slot's operands. mul_i: multiply them; acc_i: the sum leaves (weight-stationary).
  input  logic            os_i,
  input  logic            pair_i,       // with os_i
  input  logic [15:0]     pair_skip_i,
  input  logic            mul_i,
  input  logic            acc_i,
  input  logic            swap_i,
  input  logic            last_i,
  input  logic            max_i,
  input  logic [7:0]      tap_i,
  input  logic [15:0]     addr_i,
  input  logic [G-1:0][LaneW-1:0] row_i,
  input  logic [8*G-1:0]  col_i,

  // A word of the next block.
  input  logic            load_i,
  input  logic            load_transpose_i,
  input  logic [RowW-1:0] load_index_i,
  input  logic [8*G-1:0]  load_word_i,

  output logic            busy_o,   // a slot or a drain is under way
  output logic            drain_o,  // acc_data_o is a drained row
  output logic            acc_valid_o,
  output logic [15:0]     acc_addr_o,
  output logic            acc_max_o,
  output logic [32*G-1:0] acc_data_o
);

  localparam int unsigned Quads    = G / 4;      // rows are summed by four, then all
  localparam int unsigned ProductW = 16;
  localparam int unsigned QuadW    = ProductW + 2;
  localparam int unsigned SumW     = ProductW + RowW;
  localparam int unsigned PeW      = 2 * HalfBits;
  localparam int unsigned PairUnit = PairADrop + PairBDrop;  // a sum of few bits stands for 2^PairUnit

  typedef struct packed {
    logic        os;
    logic        mul;
    logic        acc;
    logic        last;
    logic        max;
    logic [7:0]  tap;
    logic [15:0] addr;
  } slot_t;

  slot_t                             operand_q, product_q;
  logic                              quad_acc_q, quad_max_q;
  logic [7:0]                        quad_tap_q;
  logic [15:0]                       quad_addr_q;
  logic [G-1:0][LaneW-1:0]           row_q;
  logic [G-1:0][G-1:0][7:0]          shadow_q, working_q;
  logic [G-1:0][G-1:0][ProductW-1:0] product;
  logic [G-1:0][Quads-1:0][QuadW-1:0] partial_q;
  logic [G-1:0][G-1:0][PeW-1:0]      pe_q;
  logic                              drain_q;
  logic [RowW:0]                     drain_row_q;   // the top bit: the second sums of a pair
  logic                              drain_last_q;  // the last row leaves in this cycle, or the core is reset
  logic [G-1:0][PeW-1:0]             drained_q;
  logic                              drained_valid_q, drained_second_q, drained_skip_q;

  // The block behind the working one.
  always_ff @(posedge clk_i) begin
    if (load_i && !load_transpose_i) shadow_q[load_index_i] <= load_word_i;
    if (load_i && load_transpose_i) begin
      for (int unsigned r = 0; r < G; r++) shadow_q[r][load_index_i] <= load_word_i[8*r +: 8];
    end
  end

  // Operands: in output-stationary passes every row's weights are the column vector.
  always_ff @(posedge clk_i) begin
    if (mul_i) row_q <= row_i;
    if (os_i && mul_i) working_q <= {G{col_i}};
    else if (swap_i) working_q <= shadow_q;
  end

  for (genvar r = 0; r < G; r++) begin : gen_rows
    for (genvar c = 0; c < G; c += 2) begin : gen_pairs
      mac_pair #(.PackProducts(PackProducts)) u_pair (
        .clk_i,
        .en_i(operand_q.mul),
        .a1_i(working_q[r][c+1]),
        .a0_i(working_q[r][c]),
        .b_i (row_q[r]),
        .p1_o(product[r][c+1]),
        .p0_o(product[r][c])
      );
    end
  end

  // Weight-stationary: sums over four rows.
  always_ff @(posedge clk_i) begin
    if (product_q.acc) begin
      for (int unsigned c = 0; c < G; c++) begin
        for (int unsigned q = 0; q < Quads; q++) begin
          partial_q[c][q] <= (QuadW'(signed'(product[4*q][c])) + QuadW'(signed'(product[4*q+1][c])))
                           + (QuadW'(signed'(product[4*q+2][c])) + QuadW'(signed'(product[4*q+3][c])));
        end
      end
    end
  end

  // A product as two sums take it: each half sign-extended by itself, since what the lower one borrows from the upper one in
  // the product it borrows in the sum, too.
  function automatic logic [PeW-1:0] halves(logic [ProductW-1:0] both);
    return {HalfBits'(signed'(both[15:8])), HalfBits'(signed'(both[7:0]))};
  endfunction

  // Output-stationary: a sum in each element, cleared as its last row leaves. One register clears them all, also at reset: a
  // gate between reset and so many registers would be in the middle of the longest wires.
  always_ff @(posedge clk_i) begin
    if (drain_last_q) begin
      for (int unsigned r = 0; r < G; r++) pe_q[r] <= '0;
    end else if (product_q.os && product_q.mul) begin
      for (int unsigned r = 0; r < G; r++) begin
        for (int unsigned c = 0; c < G; c++) begin
          pe_q[r][c] <= pe_q[r][c] + (pair_i ? halves(product[r][c]) : PeW'(signed'(product[r][c])));
        end
      end
    end
  end

  // A drained element: the lower half may have borrowed from the upper one.
  function automatic logic [31:0] drained(logic [PeW-1:0] element, logic pair, logic second);
    logic [HalfBits-1:0] half;
    half = second ? element[PeW-1:HalfBits] + HalfBits'(element[HalfBits-1]) : element[HalfBits-1:0];
    return pair ? 32'(signed'(half)) << PairUnit : element[31:0];
  endfunction

  always_ff @(posedge clk_i) begin
    if (drain_q) drained_q <= pe_q[drain_row_q[RowW-1:0]];
  end

  // What leaves: a sum over all rows, or a drained row.
  always_ff @(posedge clk_i) begin
    if (drained_valid_q) begin
      for (int unsigned c = 0; c < G; c++) acc_data_o[32*c +: 32] <= drained(drained_q[c], pair_i, drained_second_q);
    end else if (quad_acc_q) begin
      for (int unsigned c = 0; c < G; c++) begin
        automatic logic signed [SumW-1:0] sum = '0;
        for (int unsigned q = 0; q < Quads; q++) sum = sum + SumW'(signed'(partial_q[c][q]));
        acc_data_o[32*c +: 32] <= quad_max_q ? {16'b0, ~sum[7], sum[6:0], ~quad_tap_q} : 32'(sum);
      end
    end
  end

  assign busy_o     = operand_q.mul || product_q.mul || quad_acc_q || operand_q.last || product_q.last || drain_q || drained_valid_q
                      || acc_valid_o;

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      {operand_q.mul, operand_q.acc, operand_q.last} <= '0;
      {product_q.mul, product_q.acc, product_q.last} <= '0;
      quad_acc_q  <= 1'b0;
      drain_q     <= 1'b0;
      drain_last_q <= 1'b1;
      drained_valid_q <= 1'b0;
      drain_o     <= 1'b0;
      acc_valid_o <= 1'b0;
    end else begin
      operand_q <= '{os: os_i, mul: mul_i, acc: acc_i, last: last_i, max: max_i, tap: tap_i, addr: addr_i};
      product_q <= operand_q;
      quad_acc_q <= product_q.acc;
      if (product_q.acc || product_q.last) begin
        quad_max_q  <= product_q.max;
        quad_tap_q  <= product_q.tap;
        quad_addr_q <= product_q.addr;
      end
      if (product_q.last) drain_q <= 1'b1;
      else if (drain_last_q) drain_q <= 1'b0;
      drain_row_q  <= drain_q ? drain_row_q + 1'b1 : '0;
      drain_last_q <= drain_q && drain_row_q == (RowW + 1)'(pair_i ? 2 * G - 2 : G - 2);
      drained_valid_q  <= drain_q;
      drained_second_q <= drain_row_q[RowW];
      drained_skip_q   <= drain_row_q == (RowW + 1)'(G);
      acc_valid_o <= drained_valid_q || quad_acc_q;
      drain_o     <= drained_valid_q;
      acc_max_o   <= quad_max_q && !drained_valid_q;
      if (drained_valid_q && drain_o) acc_addr_o <= acc_addr_o + (drained_skip_q ? pair_skip_i : '0) + 16'd1;
      else if (drained_valid_q || quad_acc_q) acc_addr_o <= quad_addr_q;
    end
  end

`ifdef JOULEGRAD_ACTIVITY
  activity #(
    .G(G),
    .LaneW(LaneW)
  ) u_activity (
    .clk_i,
    .rst_ni,
    .row_valid_i    (mul_i),
    .row_i          (row_i & {G{{LaneW-8{pair_i}}, 8'hff}}),
    .col_valid_i    (load_i || (os_i && mul_i)),
    .col_i          (load_i ? load_word_i : col_i),
    .product_valid_i(product_q.mul),
    .product_i      (product)
  );

  bus_activity #(
    .Width(32 * G)
  ) u_sum_activity (
    .clk_i,
    .rst_ni,
    .valid_i(acc_valid_o),
    .value_i(acc_data_o)
  );
`endif

endmodule
