// The core as a block beside a Zynq processing system: control, interrupt, and two AXI3 masters for HP ports.
//
// Adds a register slice before each HP port (hp_port); memories, arithmetic and counters are the core's. The ports are
// written into Verilog for a block design by hw/vivado_wrapper.py, and instantiated by openxc7_top.
// Golden function: hw/golden.py run_segment().

module joulegrad_zynq #(
  parameter  int unsigned G            = 16,
  parameter  int unsigned AWords       = 8192,
  parameter  int unsigned WWords       = 4096,
  parameter  int unsigned AccRows      = 1024,
  parameter  int unsigned VectorWords  = 2048,
  parameter  int unsigned MaskWords    = 512,
  parameter  int unsigned TableWords   = 4096,
  parameter  int unsigned ProgramWords = 1024,
  parameter  int unsigned ListWords    = 512,
  parameter  int unsigned BlockWords   = 64,
  parameter  int unsigned AxiBits      = 64,
  parameter  logic [31:0] ConfigHash   = 32'd0,
  localparam int unsigned StrbBits     = AxiBits / 8
) (
  input  logic                 clk_i,
  input  logic                 rst_ni,
  output logic                 irq_o,

  input  logic [9:0]           s_axi_awaddr_i,
  input  logic                 s_axi_awvalid_i,
  output logic                 s_axi_awready_o,
  input  logic [31:0]          s_axi_wdata_i,
  input  logic [3:0]           s_axi_wstrb_i,
  input  logic                 s_axi_wvalid_i,
  output logic                 s_axi_wready_o,
  output logic [1:0]           s_axi_bresp_o,
  output logic                 s_axi_bvalid_o,
  input  logic                 s_axi_bready_i,
  input  logic [9:0]           s_axi_araddr_i,
  input  logic                 s_axi_arvalid_i,
  output logic                 s_axi_arready_o,
  output logic [31:0]          s_axi_rdata_o,
  output logic [1:0]           s_axi_rresp_o,
  output logic                 s_axi_rvalid_o,
  input  logic                 s_axi_rready_i,

  output logic [5:0]           hp0_arid_o,
  output logic [31:0]          hp0_araddr_o,
  output logic [3:0]           hp0_arlen_o,
  output logic [2:0]           hp0_arsize_o,
  output logic [1:0]           hp0_arburst_o,
  output logic [3:0]           hp0_arcache_o,
  output logic [2:0]           hp0_arprot_o,
  output logic [1:0]           hp0_arlock_o,
  output logic [3:0]           hp0_arqos_o,
  output logic                 hp0_arvalid_o,
  input  logic                 hp0_arready_i,
  input  logic [5:0]           hp0_rid_i,
  input  logic [AxiBits-1:0]   hp0_rdata_i,
  input  logic [1:0]           hp0_rresp_i,
  input  logic                 hp0_rlast_i,
  input  logic                 hp0_rvalid_i,
  output logic                 hp0_rready_o,
  output logic [5:0]           hp0_awid_o,
  output logic [31:0]          hp0_awaddr_o,
  output logic [3:0]           hp0_awlen_o,
  output logic [2:0]           hp0_awsize_o,
  output logic [1:0]           hp0_awburst_o,
  output logic [3:0]           hp0_awcache_o,
  output logic [2:0]           hp0_awprot_o,
  output logic [1:0]           hp0_awlock_o,
  output logic [3:0]           hp0_awqos_o,
  output logic                 hp0_awvalid_o,
  input  logic                 hp0_awready_i,
  output logic [5:0]           hp0_wid_o,
  output logic [AxiBits-1:0]   hp0_wdata_o,
  output logic [StrbBits-1:0]  hp0_wstrb_o,
  output logic                 hp0_wlast_o,
  output logic                 hp0_wvalid_o,
  input  logic                 hp0_wready_i,
  input  logic [5:0]           hp0_bid_i,
  input  logic [1:0]           hp0_bresp_i,
  input  logic                 hp0_bvalid_i,
  output logic                 hp0_bready_o,

  output logic [5:0]           hp1_arid_o,
  output logic [31:0]          hp1_araddr_o,
  output logic [3:0]           hp1_arlen_o,
  output logic [2:0]           hp1_arsize_o,
  output logic [1:0]           hp1_arburst_o,
  output logic [3:0]           hp1_arcache_o,
  output logic [2:0]           hp1_arprot_o,
  output logic [1:0]           hp1_arlock_o,
  output logic [3:0]           hp1_arqos_o,
  output logic                 hp1_arvalid_o,
  input  logic                 hp1_arready_i,
  input  logic [5:0]           hp1_rid_i,
  input  logic [AxiBits-1:0]   hp1_rdata_i,
  input  logic [1:0]           hp1_rresp_i,
  input  logic                 hp1_rlast_i,
  input  logic                 hp1_rvalid_i,
  output logic                 hp1_rready_o,
  output logic [5:0]           hp1_awid_o,
  output logic [31:0]          hp1_awaddr_o,
  output logic [3:0]           hp1_awlen_o,
  output logic [2:0]           hp1_awsize_o,
  output logic [1:0]           hp1_awburst_o,
  output logic [3:0]           hp1_awcache_o,
  output logic [2:0]           hp1_awprot_o,
  output logic [1:0]           hp1_awlock_o,
  output logic [3:0]           hp1_awqos_o,
  output logic                 hp1_awvalid_o,
  input  logic                 hp1_awready_i,
  output logic [5:0]           hp1_wid_o,
  output logic [AxiBits-1:0]   hp1_wdata_o,
  output logic [StrbBits-1:0]  hp1_wstrb_o,
  output logic                 hp1_wlast_o,
  output logic                 hp1_wvalid_o,
  input  logic                 hp1_wready_i,
  input  logic [5:0]           hp1_bid_i,
  input  logic [1:0]           hp1_bresp_i,
  input  logic                 hp1_bvalid_i,
  output logic                 hp1_bready_o
);

  logic [5:0]           m0_arid;
  logic [31:0]          m0_araddr;
  logic [3:0]           m0_arlen;
  logic [2:0]           m0_arsize;
  logic [1:0]           m0_arburst;
  logic [3:0]           m0_arcache;
  logic [2:0]           m0_arprot;
  logic                 m0_arvalid, m0_arready;
  logic [5:0]           m0_rid;
  logic [AxiBits-1:0]   m0_rdata;
  logic [1:0]           m0_rresp;
  logic                 m0_rlast;
  logic                 m0_rvalid, m0_rready;
  logic [5:0]           m0_awid;
  logic [31:0]          m0_awaddr;
  logic [3:0]           m0_awlen;
  logic [2:0]           m0_awsize;
  logic [1:0]           m0_awburst;
  logic [3:0]           m0_awcache;
  logic [2:0]           m0_awprot;
  logic                 m0_awvalid, m0_awready;
  logic [5:0]           m0_wid;
  logic [AxiBits-1:0]   m0_wdata;
  logic [StrbBits-1:0]  m0_wstrb;
  logic                 m0_wlast;
  logic                 m0_wvalid, m0_wready;
  logic [5:0]           m0_bid;
  logic [1:0]           m0_bresp;
  logic                 m0_bvalid, m0_bready;
  logic [5:0]           m1_arid;
  logic [31:0]          m1_araddr;
  logic [3:0]           m1_arlen;
  logic [2:0]           m1_arsize;
  logic [1:0]           m1_arburst;
  logic [3:0]           m1_arcache;
  logic [2:0]           m1_arprot;
  logic                 m1_arvalid, m1_arready;
  logic [5:0]           m1_rid;
  logic [AxiBits-1:0]   m1_rdata;
  logic [1:0]           m1_rresp;
  logic                 m1_rlast;
  logic                 m1_rvalid, m1_rready;
  logic [5:0]           m1_awid;
  logic [31:0]          m1_awaddr;
  logic [3:0]           m1_awlen;
  logic [2:0]           m1_awsize;
  logic [1:0]           m1_awburst;
  logic [3:0]           m1_awcache;
  logic [2:0]           m1_awprot;
  logic                 m1_awvalid, m1_awready;
  logic [5:0]           m1_wid;
  logic [AxiBits-1:0]   m1_wdata;
  logic [StrbBits-1:0]  m1_wstrb;
  logic                 m1_wlast;
  logic                 m1_wvalid, m1_wready;
  logic [5:0]           m1_bid;
  logic [1:0]           m1_bresp;
  logic                 m1_bvalid, m1_bready;

  joulegrad_core #(
    .G(G), .AWords(AWords), .WWords(WWords), .AccRows(AccRows), .VectorWords(VectorWords),
    .MaskWords(MaskWords), .TableWords(TableWords), .ProgramWords(ProgramWords), .ListWords(ListWords), .BlockWords(BlockWords),
    .AxiBits(AxiBits), .ConfigHash(ConfigHash)
  ) u_core (
    .clk_i,
    .rst_ni,
    .irq_o,
    .s_axi_awaddr_i,
    .s_axi_awvalid_i,
    .s_axi_awready_o,
    .s_axi_wdata_i,
    .s_axi_wstrb_i,
    .s_axi_wvalid_i,
    .s_axi_wready_o,
    .s_axi_bresp_o,
    .s_axi_bvalid_o,
    .s_axi_bready_i,
    .s_axi_araddr_i,
    .s_axi_arvalid_i,
    .s_axi_arready_o,
    .s_axi_rdata_o,
    .s_axi_rresp_o,
    .s_axi_rvalid_o,
    .s_axi_rready_i,
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

  hp_port #(.AxiBits(AxiBits)) u_hp0 (
    .clk_i,
    .rst_ni,
    .core_arid_i   (m0_arid),
    .core_araddr_i (m0_araddr),
    .core_arlen_i  (m0_arlen),
    .core_arsize_i (m0_arsize),
    .core_arburst_i(m0_arburst),
    .core_arcache_i(m0_arcache),
    .core_arprot_i (m0_arprot),
    .core_arvalid_i(m0_arvalid),
    .core_arready_o(m0_arready),
    .core_rid_o    (m0_rid),
    .core_rdata_o  (m0_rdata),
    .core_rresp_o  (m0_rresp),
    .core_rlast_o  (m0_rlast),
    .core_rvalid_o (m0_rvalid),
    .core_rready_i (m0_rready),
    .core_awid_i   (m0_awid),
    .core_awaddr_i (m0_awaddr),
    .core_awlen_i  (m0_awlen),
    .core_awsize_i (m0_awsize),
    .core_awburst_i(m0_awburst),
    .core_awcache_i(m0_awcache),
    .core_awprot_i (m0_awprot),
    .core_awvalid_i(m0_awvalid),
    .core_awready_o(m0_awready),
    .core_wid_i    (m0_wid),
    .core_wdata_i  (m0_wdata),
    .core_wstrb_i  (m0_wstrb),
    .core_wlast_i  (m0_wlast),
    .core_wvalid_i (m0_wvalid),
    .core_wready_o (m0_wready),
    .core_bid_o    (m0_bid),
    .core_bresp_o  (m0_bresp),
    .core_bvalid_o (m0_bvalid),
    .core_bready_i (m0_bready),
    .hp_arid_o     (hp0_arid_o),
    .hp_araddr_o   (hp0_araddr_o),
    .hp_arlen_o    (hp0_arlen_o),
    .hp_arsize_o   (hp0_arsize_o),
    .hp_arburst_o  (hp0_arburst_o),
    .hp_arcache_o  (hp0_arcache_o),
    .hp_arprot_o   (hp0_arprot_o),
    .hp_arlock_o   (hp0_arlock_o),
    .hp_arqos_o    (hp0_arqos_o),
    .hp_arvalid_o  (hp0_arvalid_o),
    .hp_arready_i  (hp0_arready_i),
    .hp_rid_i      (hp0_rid_i),
    .hp_rdata_i    (hp0_rdata_i),
    .hp_rresp_i    (hp0_rresp_i),
    .hp_rlast_i    (hp0_rlast_i),
    .hp_rvalid_i   (hp0_rvalid_i),
    .hp_rready_o   (hp0_rready_o),
    .hp_awid_o     (hp0_awid_o),
    .hp_awaddr_o   (hp0_awaddr_o),
    .hp_awlen_o    (hp0_awlen_o),
    .hp_awsize_o   (hp0_awsize_o),
    .hp_awburst_o  (hp0_awburst_o),
    .hp_awcache_o  (hp0_awcache_o),
    .hp_awprot_o   (hp0_awprot_o),
    .hp_awlock_o   (hp0_awlock_o),
    .hp_awqos_o    (hp0_awqos_o),
    .hp_awvalid_o  (hp0_awvalid_o),
    .hp_awready_i  (hp0_awready_i),
    .hp_wid_o      (hp0_wid_o),
    .hp_wdata_o    (hp0_wdata_o),
    .hp_wstrb_o    (hp0_wstrb_o),
    .hp_wlast_o    (hp0_wlast_o),
    .hp_wvalid_o   (hp0_wvalid_o),
    .hp_wready_i   (hp0_wready_i),
    .hp_bid_i      (hp0_bid_i),
    .hp_bresp_i    (hp0_bresp_i),
    .hp_bvalid_i   (hp0_bvalid_i),
    .hp_bready_o   (hp0_bready_o)
  );

  hp_port #(.AxiBits(AxiBits)) u_hp1 (
    .clk_i,
    .rst_ni,
    .core_arid_i   (m1_arid),
    .core_araddr_i (m1_araddr),
    .core_arlen_i  (m1_arlen),
    .core_arsize_i (m1_arsize),
    .core_arburst_i(m1_arburst),
    .core_arcache_i(m1_arcache),
    .core_arprot_i (m1_arprot),
    .core_arvalid_i(m1_arvalid),
    .core_arready_o(m1_arready),
    .core_rid_o    (m1_rid),
    .core_rdata_o  (m1_rdata),
    .core_rresp_o  (m1_rresp),
    .core_rlast_o  (m1_rlast),
    .core_rvalid_o (m1_rvalid),
    .core_rready_i (m1_rready),
    .core_awid_i   (m1_awid),
    .core_awaddr_i (m1_awaddr),
    .core_awlen_i  (m1_awlen),
    .core_awsize_i (m1_awsize),
    .core_awburst_i(m1_awburst),
    .core_awcache_i(m1_awcache),
    .core_awprot_i (m1_awprot),
    .core_awvalid_i(m1_awvalid),
    .core_awready_o(m1_awready),
    .core_wid_i    (m1_wid),
    .core_wdata_i  (m1_wdata),
    .core_wstrb_i  (m1_wstrb),
    .core_wlast_i  (m1_wlast),
    .core_wvalid_i (m1_wvalid),
    .core_wready_o (m1_wready),
    .core_bid_o    (m1_bid),
    .core_bresp_o  (m1_bresp),
    .core_bvalid_o (m1_bvalid),
    .core_bready_i (m1_bready),
    .hp_arid_o     (hp1_arid_o),
    .hp_araddr_o   (hp1_araddr_o),
    .hp_arlen_o    (hp1_arlen_o),
    .hp_arsize_o   (hp1_arsize_o),
    .hp_arburst_o  (hp1_arburst_o),
    .hp_arcache_o  (hp1_arcache_o),
    .hp_arprot_o   (hp1_arprot_o),
    .hp_arlock_o   (hp1_arlock_o),
    .hp_arqos_o    (hp1_arqos_o),
    .hp_arvalid_o  (hp1_arvalid_o),
    .hp_arready_i  (hp1_arready_i),
    .hp_rid_i      (hp1_rid_i),
    .hp_rdata_i    (hp1_rdata_i),
    .hp_rresp_i    (hp1_rresp_i),
    .hp_rlast_i    (hp1_rlast_i),
    .hp_rvalid_i   (hp1_rvalid_i),
    .hp_rready_o   (hp1_rready_o),
    .hp_awid_o     (hp1_awid_o),
    .hp_awaddr_o   (hp1_awaddr_o),
    .hp_awlen_o    (hp1_awlen_o),
    .hp_awsize_o   (hp1_awsize_o),
    .hp_awburst_o  (hp1_awburst_o),
    .hp_awcache_o  (hp1_awcache_o),
    .hp_awprot_o   (hp1_awprot_o),
    .hp_awlock_o   (hp1_awlock_o),
    .hp_awqos_o    (hp1_awqos_o),
    .hp_awvalid_o  (hp1_awvalid_o),
    .hp_awready_i  (hp1_awready_i),
    .hp_wid_o      (hp1_wid_o),
    .hp_wdata_o    (hp1_wdata_o),
    .hp_wstrb_o    (hp1_wstrb_o),
    .hp_wlast_o    (hp1_wlast_o),
    .hp_wvalid_o   (hp1_wvalid_o),
    .hp_wready_i   (hp1_wready_i),
    .hp_bid_i      (hp1_bid_i),
    .hp_bresp_i    (hp1_bresp_i),
    .hp_bvalid_i   (hp1_bvalid_i),
    .hp_bready_o   (hp1_bready_o)
  );

endmodule
