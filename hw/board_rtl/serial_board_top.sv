// A board with no processor: the core, memory on the chip in place of DDR, and a serial line to the host.
//
// Nothing of a vendor is in here; tops of boards add clock, reset and pins, and Verilator simulates this one with its
// serial line. To the host, addresses below 2^31 are memory and those above are the core's registers. The core's
// multipliers take one product each (PackProducts 0). led_o: 0 a segment runs, 1 the clock runs, 2 changes with every
// request, 3 with every frame that was dropped. Golden: hw/golden_serial.py with hw/golden.py.

module serial_board_top import joulegrad_pkg::*; #(
  parameter  int unsigned G            = 8,
  parameter  int unsigned AWords       = 2048,
  parameter  int unsigned WWords       = 1024,
  parameter  int unsigned AccRows      = 512,
  parameter  int unsigned VectorWords  = 1024,
  parameter  int unsigned MaskWords    = 256,
  parameter  int unsigned TableWords   = 2048,
  parameter  int unsigned ProgramWords = 1024,
  parameter  int unsigned ListWords    = 512,
  parameter  int unsigned BlockWords   = 64,
  parameter  int unsigned PassTaps     = 2,
  parameter  int unsigned AxiBits      = 64,
  parameter  logic [31:0] ConfigHash   = 32'd0,
  parameter  int unsigned MemoryWords  = 32768,          // of AxiBits
  parameter  logic [31:0] ClkHz        = 32'd50_000_000,
  parameter  logic [31:0] Baud         = 32'd3_000_000,  // at most ClkHz / 2
  localparam int unsigned StrbBits     = AxiBits / 8,
  localparam logic [31:0] MemoryBytes  = 32'(MemoryWords * StrbBits),
  localparam logic [23:0] Step         = 24'(({32'd0, Baud} * 64'd16777216 + {33'd0, ClkHz[31:1]}) / {32'd0, ClkHz})
) (
  input  logic       clk_i,
  input  logic       rst_ni,
  input  logic       rx_i,
  output logic       tx_o,
  output logic [3:0] led_o
);

  logic [5:0]          m0_arid, m0_rid, m0_awid, m0_bid;
  logic [31:0]         m0_araddr, m0_awaddr;
  logic [3:0]          m0_arlen, m0_awlen;
  logic                m0_arvalid, m0_arready, m0_rlast, m0_rvalid, m0_rready;
  logic                m0_awvalid, m0_awready, m0_wvalid, m0_wready, m0_bvalid, m0_bready;
  logic [AxiBits-1:0]  m0_rdata, m0_wdata;
  logic [StrbBits-1:0] m0_wstrb;
  logic [1:0]          m0_rresp, m0_bresp;
  logic [2:0]          m0_arsize, m0_arprot, m0_awsize, m0_awprot;
  logic [1:0]          m0_arburst, m0_awburst;
  logic [3:0]          m0_arcache, m0_awcache;
  logic [5:0]          m0_wid;
  logic                m0_wlast;

  logic [5:0]          m1_arid, m1_rid, m1_awid, m1_bid;
  logic [31:0]         m1_araddr, m1_awaddr;
  logic [3:0]          m1_arlen, m1_awlen;
  logic                m1_arvalid, m1_arready, m1_rlast, m1_rvalid, m1_rready;
  logic                m1_awvalid, m1_awready, m1_wvalid, m1_wready, m1_bvalid, m1_bready;
  logic [AxiBits-1:0]  m1_rdata, m1_wdata;
  logic [StrbBits-1:0] m1_wstrb;
  logic [1:0]          m1_rresp, m1_bresp;
  logic [2:0]          m1_arsize, m1_arprot, m1_awsize, m1_awprot;
  logic [1:0]          m1_arburst, m1_awburst;
  logic [3:0]          m1_arcache, m1_awcache;
  logic [5:0]          m1_wid;
  logic                m1_wlast;

  // The bridge's accesses: one at a time each way, so its address says who answers.
  logic [31:0] awaddr, wdata, araddr, memory_rdata, control_rdata;
  logic [3:0]  wstrb;
  logic        awvalid, wvalid, bready, arvalid, rready;
  logic        memory_awready, memory_wready, memory_bvalid, memory_arready, memory_rvalid;
  logic        control_awready, control_wready, control_bvalid, control_arready, control_rvalid;
  logic [1:0]  memory_bresp, memory_rresp, control_bresp, control_rresp;
  logic        to_control, from_control, whole, dropped, irq;

  assign to_control   = awaddr[31];
  assign from_control = araddr[31];

  serial_bridge #(
    .Step       (Step),
    .MemoryBytes(MemoryBytes),
    .ClkHz      (ClkHz)
  ) u_bridge (
    .clk_i,
    .rst_ni,
    .rx_i,
    .tx_o,
    .m_axi_awaddr_o (awaddr),
    .m_axi_awvalid_o(awvalid),
    .m_axi_awready_i(to_control ? control_awready : memory_awready),
    .m_axi_wdata_o  (wdata),
    .m_axi_wstrb_o  (wstrb),
    .m_axi_wvalid_o (wvalid),
    .m_axi_wready_i (to_control ? control_wready : memory_wready),
    .m_axi_bresp_i  (to_control ? control_bresp : memory_bresp),
    .m_axi_bvalid_i (to_control ? control_bvalid : memory_bvalid),
    .m_axi_bready_o (bready),
    .m_axi_araddr_o (araddr),
    .m_axi_arvalid_o(arvalid),
    .m_axi_arready_i(from_control ? control_arready : memory_arready),
    .m_axi_rdata_i  (from_control ? control_rdata : memory_rdata),
    .m_axi_rresp_i  (from_control ? control_rresp : memory_rresp),
    .m_axi_rvalid_i (from_control ? control_rvalid : memory_rvalid),
    .m_axi_rready_o (rready),
    .whole_o        (whole),
    .dropped_o      (dropped)
  );

  joulegrad_core #(
    .G           (G),
    .AWords      (AWords),
    .WWords      (WWords),
    .AccRows     (AccRows),
    .VectorWords (VectorWords),
    .MaskWords   (MaskWords),
    .TableWords  (TableWords),
    .ProgramWords(ProgramWords),
    .ListWords   (ListWords),
    .BlockWords  (BlockWords),
    .PassTaps    (PassTaps),
    .AxiBits     (AxiBits),
    .ConfigHash  (ConfigHash),
    .PackProducts(1'b0)
  ) u_core (
    .clk_i,
    .rst_ni,
    .irq_o          (irq),
    .s_axi_awaddr_i (awaddr[9:0]),
    .s_axi_awvalid_i(awvalid && to_control),
    .s_axi_awready_o(control_awready),
    .s_axi_wdata_i  (wdata),
    .s_axi_wstrb_i  (wstrb),
    .s_axi_wvalid_i (wvalid && to_control),
    .s_axi_wready_o (control_wready),
    .s_axi_bresp_o  (control_bresp),
    .s_axi_bvalid_o (control_bvalid),
    .s_axi_bready_i (bready && to_control),
    .s_axi_araddr_i (araddr[9:0]),
    .s_axi_arvalid_i(arvalid && from_control),
    .s_axi_arready_o(control_arready),
    .s_axi_rdata_o  (control_rdata),
    .s_axi_rresp_o  (control_rresp),
    .s_axi_rvalid_o (control_rvalid),
    .s_axi_rready_i (rready && from_control),
    .m0_axi_arid_o   (m0_arid),
    .m0_axi_araddr_o (m0_araddr),
    .m0_axi_arlen_o  (m0_arlen),
    .m0_axi_arsize_o (m0_arsize),
    .m0_axi_arburst_o(m0_arburst),
    .m0_axi_arcache_o(m0_arcache),
    .m0_axi_arprot_o (m0_arprot),
    .m0_axi_arvalid_o(m0_arvalid),
    .m0_axi_arready_i(m0_arready),
    .m0_axi_rid_i    (m0_rid),
    .m0_axi_rdata_i  (m0_rdata),
    .m0_axi_rresp_i  (m0_rresp),
    .m0_axi_rlast_i  (m0_rlast),
    .m0_axi_rvalid_i (m0_rvalid),
    .m0_axi_rready_o (m0_rready),
    .m0_axi_awid_o   (m0_awid),
    .m0_axi_awaddr_o (m0_awaddr),
    .m0_axi_awlen_o  (m0_awlen),
    .m0_axi_awsize_o (m0_awsize),
    .m0_axi_awburst_o(m0_awburst),
    .m0_axi_awcache_o(m0_awcache),
    .m0_axi_awprot_o (m0_awprot),
    .m0_axi_awvalid_o(m0_awvalid),
    .m0_axi_awready_i(m0_awready),
    .m0_axi_wid_o    (m0_wid),
    .m0_axi_wdata_o  (m0_wdata),
    .m0_axi_wstrb_o  (m0_wstrb),
    .m0_axi_wlast_o  (m0_wlast),
    .m0_axi_wvalid_o (m0_wvalid),
    .m0_axi_wready_i (m0_wready),
    .m0_axi_bid_i    (m0_bid),
    .m0_axi_bresp_i  (m0_bresp),
    .m0_axi_bvalid_i (m0_bvalid),
    .m0_axi_bready_o (m0_bready),
    .m1_axi_arid_o   (m1_arid),
    .m1_axi_araddr_o (m1_araddr),
    .m1_axi_arlen_o  (m1_arlen),
    .m1_axi_arsize_o (m1_arsize),
    .m1_axi_arburst_o(m1_arburst),
    .m1_axi_arcache_o(m1_arcache),
    .m1_axi_arprot_o (m1_arprot),
    .m1_axi_arvalid_o(m1_arvalid),
    .m1_axi_arready_i(m1_arready),
    .m1_axi_rid_i    (m1_rid),
    .m1_axi_rdata_i  (m1_rdata),
    .m1_axi_rresp_i  (m1_rresp),
    .m1_axi_rlast_i  (m1_rlast),
    .m1_axi_rvalid_i (m1_rvalid),
    .m1_axi_rready_o (m1_rready),
    .m1_axi_awid_o   (m1_awid),
    .m1_axi_awaddr_o (m1_awaddr),
    .m1_axi_awlen_o  (m1_awlen),
    .m1_axi_awsize_o (m1_awsize),
    .m1_axi_awburst_o(m1_awburst),
    .m1_axi_awcache_o(m1_awcache),
    .m1_axi_awprot_o (m1_awprot),
    .m1_axi_awvalid_o(m1_awvalid),
    .m1_axi_awready_i(m1_awready),
    .m1_axi_wid_o    (m1_wid),
    .m1_axi_wdata_o  (m1_wdata),
    .m1_axi_wstrb_o  (m1_wstrb),
    .m1_axi_wlast_o  (m1_wlast),
    .m1_axi_wvalid_o (m1_wvalid),
    .m1_axi_wready_i (m1_wready),
    .m1_axi_bid_i    (m1_bid),
    .m1_axi_bresp_i  (m1_bresp),
    .m1_axi_bvalid_i (m1_bvalid),
    .m1_axi_bready_o (m1_bready)
  );

  onchip_memory #(
    .AxiBits(AxiBits),
    .Words  (MemoryWords)
  ) u_memory (
    .clk_i,
    .rst_ni,
    .s0_axi_arid_i   (m0_arid),
    .s0_axi_araddr_i (m0_araddr),
    .s0_axi_arlen_i  (m0_arlen),
    .s0_axi_arvalid_i(m0_arvalid),
    .s0_axi_arready_o(m0_arready),
    .s0_axi_rid_o    (m0_rid),
    .s0_axi_rdata_o  (m0_rdata),
    .s0_axi_rresp_o  (m0_rresp),
    .s0_axi_rlast_o  (m0_rlast),
    .s0_axi_rvalid_o (m0_rvalid),
    .s0_axi_rready_i (m0_rready),
    .s0_axi_awid_i   (m0_awid),
    .s0_axi_awaddr_i (m0_awaddr),
    .s0_axi_awlen_i  (m0_awlen),
    .s0_axi_awvalid_i(m0_awvalid),
    .s0_axi_awready_o(m0_awready),
    .s0_axi_wdata_i  (m0_wdata),
    .s0_axi_wstrb_i  (m0_wstrb),
    .s0_axi_wvalid_i (m0_wvalid),
    .s0_axi_wready_o (m0_wready),
    .s0_axi_bid_o    (m0_bid),
    .s0_axi_bresp_o  (m0_bresp),
    .s0_axi_bvalid_o (m0_bvalid),
    .s0_axi_bready_i (m0_bready),
    .s1_axi_arid_i   (m1_arid),
    .s1_axi_araddr_i (m1_araddr),
    .s1_axi_arlen_i  (m1_arlen),
    .s1_axi_arvalid_i(m1_arvalid),
    .s1_axi_arready_o(m1_arready),
    .s1_axi_rid_o    (m1_rid),
    .s1_axi_rdata_o  (m1_rdata),
    .s1_axi_rresp_o  (m1_rresp),
    .s1_axi_rlast_o  (m1_rlast),
    .s1_axi_rvalid_o (m1_rvalid),
    .s1_axi_rready_i (m1_rready),
    .s1_axi_awid_i   (m1_awid),
    .s1_axi_awaddr_i (m1_awaddr),
    .s1_axi_awlen_i  (m1_awlen),
    .s1_axi_awvalid_i(m1_awvalid),
    .s1_axi_awready_o(m1_awready),
    .s1_axi_wdata_i  (m1_wdata),
    .s1_axi_wstrb_i  (m1_wstrb),
    .s1_axi_wvalid_i (m1_wvalid),
    .s1_axi_wready_o (m1_wready),
    .s1_axi_bid_o    (m1_bid),
    .s1_axi_bresp_o  (m1_bresp),
    .s1_axi_bvalid_o (m1_bvalid),
    .s1_axi_bready_i (m1_bready),
    .lite_awaddr_i   (awaddr),
    .lite_awvalid_i  (awvalid && !to_control),
    .lite_awready_o  (memory_awready),
    .lite_wdata_i    (wdata),
    .lite_wstrb_i    (wstrb),
    .lite_wvalid_i   (wvalid && !to_control),
    .lite_wready_o   (memory_wready),
    .lite_bresp_o    (memory_bresp),
    .lite_bvalid_o   (memory_bvalid),
    .lite_bready_i   (bready && !to_control),
    .lite_araddr_i   (araddr),
    .lite_arvalid_i  (arvalid && !from_control),
    .lite_arready_o  (memory_arready),
    .lite_rdata_o    (memory_rdata),
    .lite_rresp_o    (memory_rresp),
    .lite_rvalid_o   (memory_rvalid),
    .lite_rready_i   (rready && !from_control)
  );

  // Bursts of the core are incrementing, of whole beats, and their data have the id of their address.
  logic unused_axi;
  assign unused_axi = ^{m0_arsize, m0_arburst, m0_arcache, m0_arprot, m0_awsize, m0_awburst, m0_awcache, m0_awprot, m0_wid, m0_wlast, m1_arsize, m1_arburst, m1_arcache, m1_arprot, m1_awsize, m1_awburst, m1_awcache, m1_awprot, m1_wid, m1_wlast};

  // Lights. A segment runs from its start until the interrupt, or a soft reset.
  logic        control_write, running_q, whole_q, dropped_q;
  logic [25:0] beat_q;

  assign control_write = awvalid && control_awready && to_control && awaddr[9:0] == RegCtrl && wstrb[0];

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      running_q <= 1'b0;
      whole_q   <= 1'b0;
      dropped_q <= 1'b0;
      beat_q    <= '0;
    end else begin
      if (control_write && wdata[1:0] != '0) running_q <= wdata[1:0] == 2'b01;
      else if (irq) running_q <= 1'b0;
      whole_q   <= whole_q ^ whole;
      dropped_q <= dropped_q ^ dropped;
      beat_q    <= beat_q + 26'd1;
    end
  end

  assign led_o = {dropped_q, whole_q, beat_q[25], running_q};

`ifndef SYNTHESIS
  LineNotTooFastA : assert property (@(posedge clk_i) ClkHz >= 2 * Baud);
`endif

endmodule
