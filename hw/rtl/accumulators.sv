// The int32 accumulators: two banks of AccRows rows of G lanes, the bank is the top bit of the row address.
//
//   array:  acc[addr] = acc[addr] + data      or, with acc_max_i, the larger of both (data from 0 to 65535)
//   vector: vec_rdata_o = acc[addr], one cycle later; with vec_clear_i the row becomes zero in the cycle behind the read
//
// The array's row is read in the cycle it comes, kept in the next, added in the one after and then written: the same
// row must not come again in the three cycles behind it. busy_o: a write is pending. conflict_o: array and
// vector unit touch one bank in one cycle; what is read or written then is undefined.
// Throughput: one row per cycle on either port. Golden: hw/golden_array.py, hw/golden_vector.py.

module accumulators #(
  parameter  int unsigned G       = 16,    // lanes of a row
  parameter  int unsigned AccRows = 1024,  // rows of a bank, a power of two
  localparam int unsigned RowW    = $clog2(AccRows),
  localparam int unsigned Width   = 32 * G
) (
  input  logic             clk_i,
  input  logic             rst_ni,

  input  logic             acc_valid_i,
  input  logic [15:0]      acc_addr_i,
  input  logic             acc_max_i,
  input  logic [Width-1:0] acc_data_i,

  input  logic             vec_ren_i,
  input  logic [15:0]      vec_addr_i,
  input  logic             vec_clear_i,
  output logic [Width-1:0] vec_rdata_o,

  output logic             conflict_o,
  output logic             busy_o
);

  logic                  read_q, add_q, write_q, max_q, add_max_q, clear_q;
  logic [RowW:0]         read_addr_q, add_addr_q, write_addr_q, clear_addr_q;
  logic [Width-1:0]      data_q, add_data_q, old_q, result;  // add_data_q: inverted for the maximum
  (* keep *)
  logic [G-1:0]          taken, kept;                  // by the maximum: data, old
  logic                  vec_bank_q;
  logic [1:0][Width-1:0] rdata;
  logic                  vec_bank, acc_bank;
  logic                  unused_addr;

  assign vec_bank    = vec_addr_i[RowW];
  assign acc_bank    = acc_addr_i[RowW];
  assign unused_addr = ^{vec_addr_i[15:RowW], acc_addr_i[15:RowW]};

  for (genvar b = 0; b < 2; b++) begin : gen_banks
    logic             acc_read, vec_read, acc_write, clear;
    logic [RowW-1:0]  raddr, waddr;
    logic [Width-1:0] wdata_q;

    assign acc_read  = acc_valid_i && acc_bank == 1'(b);
    assign vec_read  = vec_ren_i && vec_bank == 1'(b);
    assign acc_write = write_q && write_addr_q[RowW] == 1'(b);
    assign clear     = clear_q && clear_addr_q[RowW] == 1'(b);
    assign raddr     = vec_read ? vec_addr_i[RowW-1:0] : acc_addr_i[RowW-1:0];
    assign waddr     = clear ? clear_addr_q[RowW-1:0] : write_addr_q[RowW-1:0];

    ram_1r1w #(
      .Width(Width),
      .Depth(AccRows)
    ) u_bank (
      .clk_i,
      .ren_i  (acc_read || vec_read),
      .raddr_i(raddr),
      .rdata_o(rdata[b]),
      .wen_i  (acc_write || clear),
      .waddr_i(waddr),
      .wdata_i(wdata_q)
    );

    // What is written: a bank's own, so that it can be reset for a clear.
    always_ff @(posedge clk_i) begin
      if (vec_read && vec_clear_i) wdata_q <= '0;
      else if (add_q && add_addr_q[RowW] == 1'(b)) wdata_q <= result;
    end
  end

  assign vec_rdata_o = rdata[vec_bank_q];
  assign busy_o      = acc_valid_i || read_q || add_q || write_q;
  assign conflict_o  = vec_ren_i && ((acc_valid_i && acc_bank == vec_bank) || (read_q && read_addr_q[RowW] == vec_bank)
                                     || (add_q && add_addr_q[RowW] == vec_bank)
                                     || (write_q && write_addr_q[RowW] == vec_bank));

  // One carry chain per lane: old + data, or old - data, whose sign tells the larger where old is not negative. For the maximum,
  // data's upper half is zero.
  always_comb begin
    for (int unsigned l = 0; l < G; l++) begin
      automatic logic [31:0] o = old_q[32*l +: 32];
      automatic logic [31:0] d = add_data_q[32*l +: 32];
      automatic logic [31:0] sum = o + d + 32'(add_max_q);
      taken[l] = add_max_q && (o[31] || sum[31]);
      kept[l]  = add_max_q && !(o[31] || sum[31]);
      result[32*l +: 16]    = taken[l] ? ~d[15:0] : kept[l] ? o[15:0] : sum[15:0];
      result[32*l+16 +: 16] = taken[l] ? '0 : kept[l] ? o[31:16] : sum[31:16];
    end
  end

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      read_q  <= 1'b0;
      add_q   <= 1'b0;
      write_q <= 1'b0;
      clear_q <= 1'b0;
    end else begin
      read_q  <= acc_valid_i;
      add_q   <= read_q;
      write_q <= add_q;
      clear_q <= vec_ren_i && vec_clear_i;
    end
  end

  always_ff @(posedge clk_i) begin
    if (vec_ren_i) begin
      vec_bank_q   <= vec_bank;
      clear_addr_q <= vec_addr_i[RowW:0];
    end
    if (acc_valid_i) begin
      read_addr_q <= acc_addr_i[RowW:0];
      max_q       <= acc_max_i;
      data_q      <= acc_data_i;
    end
    if (read_q) begin
      add_addr_q <= read_addr_q;
      add_max_q  <= max_q;
      for (int unsigned l = 0; l < G; l++) begin
        add_data_q[32*l +: 16]    <= data_q[32*l +: 16] ^ {16{max_q}};
        add_data_q[32*l+16 +: 16] <= max_q ? '1 : data_q[32*l+16 +: 16];
      end
      old_q      <= rdata[read_addr_q[RowW]];
    end
    if (add_q) begin
      write_addr_q <= add_addr_q;
    end
  end

`ifndef SYNTHESIS
  logic [2:0][RowW:0] recent_addr_q;
  logic [2:0]         recent_q;
  always_ff @(posedge clk_i) begin
    recent_q      <= rst_ni ? {recent_q[1:0], acc_valid_i} : '0;
    recent_addr_q <= {recent_addr_q[1:0], acc_addr_i[RowW:0]};
  end
  RowNotUnderWayA : assert property (@(posedge clk_i) disable iff (!rst_ni) acc_valid_i |->
    !(recent_q[0] && recent_addr_q[0] == acc_addr_i[RowW:0]) && !(recent_q[1] && recent_addr_q[1] == acc_addr_i[RowW:0])
    && !(recent_q[2] && recent_addr_q[2] == acc_addr_i[RowW:0]));
`endif

endmodule
